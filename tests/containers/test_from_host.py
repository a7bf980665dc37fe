# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots made by emerge from the host, on a host with real Portage."""

import json
from pathlib import Path

from conftest import Run
from helpers.containers import some

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


def test_bootstrap_from_host_continues_where_it_failed(host: Host, on: Run, tmp_path: Path) -> None:
    kind = some()
    root = tmp_path / "machine"
    system = "*app-demo/breaking\n"
    host.profile("router", f'layers = ["small"]\nroot = "{root}"\n', {"small/profile/packages": system})
    _broken(host)

    failed = on("gentoomuch", "bootstrap", "router", "--isolation", kind)
    before = json.loads((root / ".gentoomuch-bootstrap").read_text())["done"]
    _broken(host, mended=True)
    mended = on("gentoomuch", "bootstrap", "router", "--isolation", kind)

    eroot = host.eroot(root)
    assert failed.status == 70
    assert "bootstrap: from this host, because there is no verified stage3-" in failed.err
    assert "gentoomuch bootstrap router --from-host" in failed.err
    assert "bootstrap: from this host, because the bootstrap of this root has begun there" in mended.err
    assert before == []
    assert mended.status == 0, mended.err
    assert "Emerging (1 of 1) app-demo/breaking" in mended.out, "what was merged is not merged again"
    assert sorted(one.name for one in (eroot / "var/db/pkg").glob("*/*-[0-9]*")) == ["breaking-1", "libgreet-1.0"]
    assert (eroot / "lib64").readlink() == Path("usr/lib64")
    assert "portage:x:250:" in (eroot / "etc/passwd").read_text()
    assert not (root / ".gentoomuch-bootstrap").exists()
    assert not list(host.vdb.glob("*/*"))
