# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages without machine code are built once for all CPUs; those with code are built for each CPU that needs it."""

import json
from pathlib import Path

import pytest
from helpers import cpus
from helpers.repack import instance

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

pytestmark = pytest.mark.skipif(cpus.NOT_X86, reason="the levels are those of x86")
LEVELS = ("x86-64-v4", "haswell", "x86-64-v3", "x86-64-v2", "x86-64")
"""The first one builds; no other one runs its code."""
_EBUILD = """EAPI=8

DESCRIPTION="A package to share"
HOMEPAGE="https://github.com/gentoomuch/gentoomuch-portage"
S="${{WORKDIR}}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 x86"
RDEPEND="{depends}"

{install}
"""
INSTALL = {
    "empty": "",
    "links": "src_install() { dosym cat /usr/bin/other-cat; }",
    "script": "src_install() { printf '#!/bin/sh\\necho hi\\n' > hi; dobin hi; }",
    "code": "src_install() { echo 'int main() { return 0; }' >x.c; ${CHOST}-gcc ${CFLAGS} -o x x.c || die; dobin x; }",
    "flags": 'src_install() { echo "Cflags: ${CFLAGS}" > x.pc; insinto /usr/share/pkgconfig; doins x.pc; }',
}
ALL = [f"app-demo/{name}" for name in INSTALL]
SHARED = ["app-demo/empty", "app-demo/links", "app-demo/script"]


@pytest.fixture
def levels(host: Host, tmp_path: Path, on) -> Host:
    """A profile for each level with a root of its own, one PKGDIR, and the packages built for the first level."""
    for name, install in INSTALL.items():
        text = _EBUILD.format(depends="", install=install)
        write(host.repository / "app-demo" / name / f"{name}-1.ebuild", text)
    for level in LEVELS:
        host.profile(level, f'cpu = "{level}"\nroot = "{tmp_path / level}"\n[binpkg]\nbuild = true\nuse = true\n')
    ended = on("gm-emerge", f"--gm-profile={LEVELS[0]}", "-q1", "--buildpkgonly", *ALL)
    assert ended.status == 0, ended.out + ended.err
    return host


def binaries(on, level: str) -> list[str]:
    """The packages that a run of a profile takes as binary packages."""
    ended = on("gm-emerge", f"--gm-profile={level}", "-p1k", *ALL)
    assert ended.status == 0, ended.out + ended.err
    lines = (line.partition("]") for line in ended.out.splitlines() if line.startswith("[binary"))
    return sorted(rest.split()[0].rpartition("-")[0].removesuffix("-1") for _, _, rest in lines)


@pytest.mark.slow
def test_packages_without_code_are_built_once_for_five_levels(levels: Host, on):
    """Without our record, a package of another builder is shared only if its files are empty (SIZE)."""
    taken = {level: binaries(on, level) for level in LEVELS}
    why = on("gentoomuch", "binpkg", "why", "app-demo/script", "--profile", "x86-64")
    rows = json.loads(on("gentoomuch", "binpkg", "ls", "--json").out)

    for name in ("links", "script"):
        (built,) = (levels.pkgdir / "app-demo" / name).glob("*.gpkg.tar")
        instance(built, levels.pkgdir, 1, {"GM_REQUIRES": None})
    assert on("emaint", "binhost", "--fix").status == 0
    of_other_builder = binaries(on, "x86-64")

    assert taken == {LEVELS[0]: sorted(ALL)} | {level: SHARED for level in LEVELS[1:]}
    assert of_other_builder == ["app-demo/empty", "app-demo/links"]
    assert "no machine code" in why.out
    assert {row["cpv"].removesuffix("-1") for row in rows if row["flags"] == "no machine code"} == set(SHARED)
    assert {row["cpv"].removesuffix("-1") for row in rows if len(row["runs_on"]) == len(LEVELS)} == set(SHARED)
