# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata out of gpkg and xpak: what is wanted is found, by reading little."""

import random

import pytest
from helpers.packages import PACK, PLAIN, WANTED, gpkg, metadata, read, source, tar, xpak
from hypothesis import given
from hypothesis import strategies as st

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.formats import BadBinpkg

TOLD = {"CFLAGS": "-O2 -march=haswell", "CXXFLAGS": "-O2", "CHOST": "x86_64-pc-linux-gnu"}
values = st.dictionaries(
    st.sampled_from(sorted(WANTED)), st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=300)
)


@pytest.mark.parametrize("kind", PACK)
def test_requested_metadata_of_a_gpkg_is_read_with_any_compression(kind):
    assert read(gpkg(kind=kind)) == TOLD


@pytest.mark.parametrize("name", ["p-1.tbz2", "p-1-3.xpak"])
def test_requested_metadata_of_an_xpak_is_read(name):
    assert read(xpak(), name) == TOLD


@given(values)
def test_both_formats_have_the_same_metadata(told):
    files = {name: value.encode() for name, value in told.items()}

    assert read(gpkg(files)) == read(xpak(files), "p-1.xpak") == {name: value.strip() for name, value in told.items()}


@pytest.mark.parametrize("kind", [".zst", ".gz", ".bz2", ".xz"])
def test_metadata_packed_as_several_streams_is_read_to_its_end(kind):
    plain = metadata(PLAIN)

    assert read(gpkg(kind=kind, inner=PACK[kind](plain[:700]) + PACK[kind](plain[700:]))) == TOLD


@pytest.mark.parametrize("kind", [".zst", ".gz", ".bz2", ".xz"])
def test_metadata_of_many_chunks_is_read_to_its_end(kind):
    noise = random.Random(1).randbytes(1_000_000)

    assert read(gpkg({"environment.bz2": noise, "zeros": bytes(5_000_000), **PLAIN}, kind)) == TOLD


def test_a_long_name_of_gnu_is_read():
    files = [(f"{'p' * 200}-1/gpkg-1", b""), (f"{'p' * 200}-1/metadata.tar", metadata(PLAIN))]

    assert read(tar(files, form=1)) == TOLD


def test_a_package_without_flags_has_no_metadata():
    assert read(gpkg({"SLOT": b"0"})) == {} == read(xpak({"SLOT": b"0"}), "p.xpak")


def test_the_name_decides_the_format():
    with pytest.raises(BadBinpkg, match="ends neither"):
        read(gpkg(), "p-1.zip")


@pytest.mark.parametrize("image", [0, 8_000_000])
@pytest.mark.parametrize(("make", "name"), [(gpkg, "p.gpkg.tar"), (xpak, "p.xpak")])
def test_of_a_normal_package_at_most_64_kib_are_read(make, name, image):
    noise = random.Random(1).randbytes(40_000)
    content = source(make({"environment.bz2": noise, "p-1.ebuild": noise[:4000], **PLAIN}, image=image), name)

    assert formats.read(content, WANTED) == TOLD
    assert 0 < content.spent <= 64 << 10


def test_of_a_long_xpak_segment_only_both_ends_are_read():
    content = source(xpak({**PLAIN, "environment.bz2": random.Random(1).randbytes(3_000_000)}), "p.xpak")

    assert formats.read(content, WANTED) == TOLD
    assert content.spent <= 64 << 10
