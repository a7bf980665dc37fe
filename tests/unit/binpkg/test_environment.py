# SPDX-License-Identifier: GPL-2.0-or-later
"""Flags of Rust, Go and Fortran, which a package tells only in the environment that Portage saves of its build."""

import bz2
from pathlib import Path

import pytest
from helpers.packages import gpkg, source, xpak

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.environment import ENVIRONMENT, MAX_COMPRESSED, MAX_DECOMPRESSED
from gentoomuch_portage.binpkg.formats import BadBinpkg
from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.isa import variables as isa_variables
from gentoomuch_portage.portage_adapter.binpkg import RECORDED

WANTED = {RECORDED, ENVIRONMENT, *isa_variables.VARIABLES}
BUILT = b"""declare -- A="RUSTFLAGS"
declare -x GOAMD64="v3"
declare -x RUSTFLAGS="--cfg a=\\"b\\" -C target-cpu=haswell"
src_compile () { cargo_src_compile; }
"""


@pytest.fixture(params=["gpkg", "xpak"])
def read(request):
    """What a package with these files tells."""

    def by(packed: bytes = b"", **files: str) -> dict[str, str]:
        told = {name: text.encode() for name, text in files.items()} | ({ENVIRONMENT: packed} if packed else {})
        made = gpkg(told) if request.param == "gpkg" else xpak(told)
        return formats.read(source(made, "p-1.gpkg.tar" if request.param == "gpkg" else "p-1.xpak"), WANTED)

    return by


@pytest.mark.parametrize("eclass", ["cargo", "go-module", "fortran-2"])
def test_flags_missing_in_metadata_are_read_from_the_environment(read, eclass):
    found = read(bz2.compress(BUILT), INHERITED=f"toolchain-funcs {eclass}", CFLAGS="-O2")

    assert found["RUSTFLAGS"] == '--cfg a="b" -C target-cpu=haswell'
    assert (found["GOAMD64"], found["CFLAGS"]) == ("v3", "-O2")


def test_several_streams_are_read_to_their_end(read):
    assert read(bz2.compress(BUILT[:50]) + bz2.compress(BUILT[50:]), INHERITED="cargo")["GOAMD64"] == "v3"


@pytest.mark.parametrize(
    "files", [{"CFLAGS": "-O2"}, {"INHERITED": "toolchain-funcs"}, {"INHERITED": "cargo", RECORDED: "{}"}]
)
def test_the_environment_is_not_read_without_need(read, files):
    assert read(b"no bzip2", **files) == files


@pytest.mark.parametrize(
    "packed",
    [
        b"no bzip2",
        bz2.compress(BUILT)[:-20],
        bz2.compress(bytes(MAX_DECOMPRESSED + 1)),
        b"x" * (MAX_COMPRESSED + 1),
        bz2.compress(b'declare -x RUSTFLAGS="\x1b[2J"'),
        bz2.compress(b'declare -x RUSTFLAGS="' + b"x" * 70_000 + b'"'),
    ],
    ids=["no bzip2", "cut off", "bomb", "too long", "control characters", "long value"],
)
def test_a_hostile_environment_is_rejected(read, packed):
    with pytest.raises(BadBinpkg):
        read(packed, INHERITED="cargo")


def test_the_environment_is_part_of_the_requirement(tmp_path: Path):
    found = {"CFLAGS": "-O2 -march=x86-64", "CHOST": "x86_64-pc-linux-gnu", "INHERITED": "cargo"}
    plain = cpu.requirement_of_metadata(found, (), tmp_path)
    told = cpu.requirement_of_metadata({**found, **isa_variables.parse_environment(BUILT.decode())}, (), tmp_path)

    assert "AVX2" in told.features - plain.features
