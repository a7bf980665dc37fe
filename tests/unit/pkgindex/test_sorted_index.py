# SPDX-License-Identifier: GPL-2.0-or-later
"""An index of a binhost that is looked into by name: what it answers, and when it is left to Portage."""

import os
import random
from pathlib import Path

import pytest
from portage.versions import catpkgsplit

from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.pkgindex.entry import BadIndex
from gentoomuch_portage.pkgindex.sorted_index import SortedIndex, open_sorted

HEADER = "PACKAGES: 1\nTIMESTAMP: 1700000000\nVERSION: 0\n\n"
NAMES = ("a/foo", "a/foo+", "a/foo-1xx", "a/foo-bar", "b-c/foo", "b/x_y", "b/foo")


def entry(cpv: str, more: str = "") -> str:
    return f"CPV: {cpv}\n{more}PATH: {cpv}-1.gpkg.tar\nSIZE: 5\n\n"


def split(cpv: str) -> str:
    found = catpkgsplit(cpv)
    return f"{found[0]}/{found[1]}" if found else ""


def opened(place: Path, text: str | bytes, *, accepted: bool = True) -> SortedIndex | None:
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_sorted(place, split, accepted=accepted)


def test_entries_of_a_name_equal_those_of_the_whole_index(tmp_path: Path):
    dice = random.Random(7)
    cpvs = sorted(f"{name}-{dice.randint(0, 30)}.{number}" for name in NAMES for number in range(40))
    cpvs = sorted([*cpvs, *dice.choices(cpvs, k=20)])
    text = "".join(entry(cpv, f"DESC: {'x' * dice.choice((0, 1, 5000, 60000))}\n") for cpv in cpvs)

    index = opened(tmp_path / "Packages", HEADER + text)

    assert index is not None
    assert index.header == HEADER.encode()
    assert index.names() == list(dict.fromkeys(map(split, cpvs)))
    for name in (*NAMES, "a/none", "z/z", "a/fo", "../etc", ""):
        found = [pkgindex_entry.cpv(one).decode() for one in pkgindex_entry.each(index.of_name(name))]
        assert [cpv for cpv in found if split(cpv) == name] == [cpv for cpv in cpvs if split(cpv) == name]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        HEADER.rstrip("\n"),
        "\n" + HEADER + entry("a/b-1"),
        HEADER + entry("a/b-1") + "\n" + entry("a/b-2"),
        HEADER + entry("a/b-1").replace("SIZE", "\rSIZE"),
        HEADER + entry("a/b-1").replace("CPV: ", "CPV:"),
        HEADER + entry("a/b-1", "CPV: a/c-1\n"),
        HEADER + entry("a/b-1", "PATH: a/c-1.xpak\n"),
        HEADER + entry("a/b-1") + "DESC: without a name\n\n",
        HEADER + entry("a/b-2") + entry("a/b-1"),
        HEADER + entry("a/b-1").replace(".gpkg.tar", ".xpak"),
        HEADER + entry("a/b-1").rstrip("\n"),
        HEADER + entry("a/b"),
        HEADER + entry("foo-1"),
        HEADER + entry("a/b-1-2"),
        HEADER + entry("a/b-1 "),
        HEADER + entry("a/b\u00e9-1"),
        HEADER + entry("a/\u0665-\u0661"),
    ],
)  # fmt: skip
def test_an_ambiguous_index_is_left_to_portage(tmp_path: Path, text: str):
    assert opened(tmp_path / "Packages", text) is None
    assert open_sorted(tmp_path / "Packages", split, accepted=False) is None


def test_an_unverified_index_is_not_read_by_name(tmp_path: Path):
    place = tmp_path / "Packages"
    assert opened(place, HEADER + entry("a/b-1"), accepted=False) is None
    assert not (tmp_path / "Packages.names").exists()
    assert open_sorted(place, split, accepted=True) is not None
    assert open_sorted(place, split, accepted=False) is not None

    other = tmp_path / "other"
    other.write_bytes(place.read_bytes())
    os.utime(other, ns=(place.stat().st_atime_ns, place.stat().st_mtime_ns))
    other.replace(place)

    assert open_sorted(place, split, accepted=False) is None


def test_an_opened_index_is_unchanged_if_its_file_is_replaced(tmp_path: Path):
    place = tmp_path / "Packages"
    index = opened(place, HEADER + entry("a/b-1"))
    assert index is not None
    (tmp_path / "new").write_text(HEADER + entry("a/b-2"))
    (tmp_path / "new").replace(place)

    assert b"CPV: a/b-1\n" in index.of_name("a/b")
    assert index.names() == ["a/b"]
    assert open_sorted(place, split, accepted=True) is not None
    with pytest.raises(BadIndex):
        index.names()


def test_an_index_modified_in_place_is_no_longer_used(tmp_path: Path):
    place = tmp_path / "Packages"
    index = opened(place, HEADER + entry("a/b-1"))
    assert index is not None
    place.write_text(HEADER + entry("a/b-3"))

    with pytest.raises(BadIndex):
        index.of_name("a/b")


@pytest.mark.parametrize("at", [0, 30, -2])
def test_a_damaged_names_file_is_ignored(tmp_path: Path, at: int):
    place, names = tmp_path / "Packages", tmp_path / "Packages.names"
    opened(place, HEADER + entry("a/b-1"))
    content = bytearray(names.read_bytes())
    content[at] ^= 1
    names.write_bytes(content)

    index = open_sorted(place, split, accepted=False)

    with pytest.raises(BadIndex):
        (index.names() if index else _raises())


def _raises() -> None:
    raise BadIndex("names", "nobody believes them")
