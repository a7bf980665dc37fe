"""Roots made by emerge from the host, on a host with real Portage."""

import json
from pathlib import Path

from boxing import some_kind_or_skip
from conftest import Run

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

_BROKEN = """EAPI=8
DESCRIPTION="breaks"
S="${{WORKDIR}}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="{arches}"
RDEPEND="dev-demo/libgreet"
"""


def _broken(host: Host, *, mended: bool = False) -> None:
    arches = " ".join((host.repository / "profiles/arch.list").read_text().split())
    text = _BROKEN.format(arches=arches) + ("" if mended else 'src_compile() { die "broken"; }\n')
    write(host.repository / "app-demo/breaking/breaking-1.ebuild", text)


def test_a_root_is_filled_by_emerge_and_goes_on_where_it_failed(host: Host, on: Run, tmp_path: Path) -> None:
    kind = some_kind_or_skip()
    root = tmp_path / "machine"
    system = "*app-demo/breaking\n"
    host.profile("router", f'layers = ["small"]\nroot = "{root}"\n', {"small/profile/packages": system})
    _broken(host)

    failed = on("gentoomuch", "bootstrap", "router", "--from-host", "--isolation", kind)
    before = json.loads((root / ".gentoomuch-bootstrap").read_text())["done"]
    _broken(host, mended=True)
    mended = on("gentoomuch", "bootstrap", "router", "--from-host", "--isolation", kind)

    eroot = host.eroot(root)
    assert failed.status == 70
    assert "gentoomuch bootstrap router --from-host" in failed.err
    assert before == []
    assert mended.status == 0, mended.err
    assert "Emerging (1 of 1) app-demo/breaking" in mended.out, "what was merged is not merged again"
    assert sorted(one.name for one in (eroot / "var/db/pkg").glob("*/*-[0-9]*")) == ["breaking-1", "libgreet-1.0"]
    assert (eroot / "lib64").readlink() == Path("usr/lib64")
    assert "portage:x:250:" in (eroot / "etc/passwd").read_text()
    assert not (root / ".gentoomuch-bootstrap").exists()
    assert not list(host.vdb.glob("*/*"))
