# SPDX-License-Identifier: GPL-2.0-or-later
"""The example plugin, installed by pip into a virtual environment of its own, at work in real runs."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent
LOOKOUT = Path(__file__).parents[2] / "examples/gm-lookout"


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of a virtual environment that has what this one has, and the plugin."""
    folder = tmp_path_factory.mktemp("venv")
    source = tmp_path_factory.mktemp("source") / "gm-lookout"
    source.mkdir()
    for file in LOOKOUT.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    venv.create(folder, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for part in ("lib/portage", "share/portage"):  # what Portage's wheel puts beside the interpreter
        (folder / part).parent.mkdir(exist_ok=True)
        (folder / part).symlink_to(Path(sys.prefix) / part)
    words = ["--disable-pip-version-check", "--python", folder, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([sys.executable, "-m", "pip", *words, "--no-build-isolation", source], check=True)
    return folder / "bin/python"


@pytest.fixture
def emerge(host: Host, python: Path, on):
    """Run gm-emerge for profile ``a`` with the interpreter that has the plugin."""
    host.profile("a", "")
    return lambda *words, **env: on(python, BIN / "gm-emerge", "--gm-profile=a", "-q", *words, **env)


def test_the_example_plugin_ends_a_run_rejects_a_merge_and_counts_merges(host: Host, emerge):
    counted = host.eprefix / "var/lib/gentoomuch/a/lookout.prom"
    hold = host.config / "hold"
    hold.write_text("# not yet\ndev-demo/libgreet\n")
    held, pretended = emerge("app-demo/gm-hello"), emerge("-p", "app-demo/gm-hello")
    assert (held.status, pretended.status) == (78, 0), held.err
    assert "gentoomuch: dev-demo/libgreet-1.0 must not be merged  [held]" in held.err
    assert not counted.exists()

    hold.unlink()
    full = emerge("--oneshot", "dev-demo/libgreet", GM_LOOKOUT_ROOM="999999999")
    assert full.status == 1
    assert "!!! =dev-demo/libgreet-1.0 is not merged: / has " in full.out + full.err
    assert not (host.vdb / "dev-demo/libgreet-1.0").exists()
    assert 'gentoomuch_status{profile="a",package="dev-demo/libgreet-1.0",source="ebuild"} 1' in counted.read_text()

    merged = emerge("--oneshot", "dev-demo/libgreet")
    assert merged.status == 0, merged.err
    assert (host.vdb / "dev-demo/libgreet-1.0").is_dir()
    assert 'gentoomuch_status{profile="a",package="dev-demo/libgreet-1.0",source="binpkg"} 0' in counted.read_text()


def test_the_example_is_left_out_by_name(host: Host, emerge):
    (host.config / "hold").write_text("dev-demo/libgreet\n")

    told = emerge("--gm-explain", "dev-demo/libgreet")
    left_out = emerge("--gm-explain", "--gm-no=lookout", "dev-demo/libgreet")

    assert "held: dev-demo/libgreet" in told.out
    assert "held" not in left_out.out
