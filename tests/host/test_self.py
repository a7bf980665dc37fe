# SPDX-License-Identifier: GPL-2.0-or-later
"""This project installs itself from its work tree, by its own .gentoo folder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

from gentoomuch_portage import __version__
from gentoomuch_portage.demo_host import Host

TOP = Path(__file__).parents[2]
NEEDED = (
    "sys-apps/portage-3.0.83", "sys-apps/pkgcore-0.13", "dev-python/snakeoil-0.12", "dev-python/pluggy-1.6",
    "dev-python/urllib3-2.6", "dev-python/backports-zstd-1.4",
)  # fmt: skip

EBUILD = """EAPI=8
DESCRIPTION="stands in for what pip has installed"
SLOT=0
LICENSE="GPL-2"
KEYWORDS="~amd64 ~arm64 ~ppc64 ~riscv"
IUSE="+python"
"""


def _stand_ins(host: Host) -> None:
    """Hosts of tests have no ::gentoo: its eclass, and the packages that pip has installed here, are stood in for."""
    shutil.copytree(TOP / "tests/data/repository/eclass", host.repository / "eclass", dirs_exist_ok=True)
    with (host.repository / "profiles/categories").open("a") as known:
        known.write("sys-apps\ndev-python\n")
    for name in NEEDED:
        category, _, package = name.partition("/")
        folder = host.repository / category / package.rpartition("-")[0]
        folder.mkdir(parents=True)
        (folder / f"{package}.ebuild").write_text(EBUILD)


@pytest.mark.slow
def test_the_project_installs_itself(host: Host, on: Run, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", TOP, clone], check=True)
    _stand_ins(host)
    identity = on("gentoomuch", "dotgentoo", "id", clone).out.strip()
    (host.etc / "package.accept_keywords").write_text("*/* ~*\n")

    ended = on("gm-emerge", f"--gm-trust={identity}", ".", cwd=clone)

    assert ended.status == 0, ended.err + ended.out
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [host.eprefix / f"usr/{lib}/{version}/site-packages" for lib in ("lib", "lib64")]
    code = "import gentoomuch_portage, sys; print(gentoomuch_portage.__file__)"
    there = on("python3", "-c", code, PYTHONPATH=":".join(map(str, places)), cwd=tmp_path)
    assert there.out.startswith(str(host.eprefix)), there.err
    program = host.eprefix / "usr/bin/gm-emerge"
    said = on("python3", program, "--gm-version", PYTHONPATH=":".join(map(str, places)), cwd=tmp_path)
    assert said.out.startswith(f"gentoomuch-portage {__version__}")
