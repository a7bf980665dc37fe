# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a folder of packages: what is written is what is read, and an edit is what writing it all anew gives."""

import gzip
import os
import resource
import threading
import zlib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portage.versions import catpkgsplit

from gentoomuch_portage.binhost import reindex
from gentoomuch_portage.pkgindex import edit, gzip_members, shards, stamp, write
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.pkgindex.write import Fresh

HEADER = b"ARCH: amd64\nPACKAGES: 3\nTIMESTAMP: 1700000000\n\n"
words = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
cpvs = st.tuples(
    st.sampled_from(["a-b", "app-x", "b"]), st.sampled_from(["p", "p-2q", "p-a", "q+"]), st.integers(0, 30)
).map(lambda one: f"{one[0]}/{one[1]}-{one[2]}")


def entry(cpv: str, path: str, word: str = "x", size: int = 0) -> bytes:
    return f"BUILD_ID: 1\nCPV: {cpv}\nDESC: {word}{'y' * size}\nPATH: {path}\n\n".encode()


def entries(cpvs: list[str], size: int = 0) -> list[bytes]:
    return [entry(cpv, f"{cpv}-{number}.gpkg.tar", size=size) for number, cpv in enumerate(cpvs)]


def laid(folder: Path, cpvs: list[str], size: int = 0) -> Path:
    """A folder with a fresh index of these packages."""
    members = write.rewrite(folder, HEADER, entries(cpvs, size), compress=True)
    write.update_shards(folder, lambda path: {"CFLAGS": f"-O2 {path}"}, members)
    return folder


@given(st.dictionaries(st.sampled_from(["GM_REQUIRES", "CFLAGS", "GM_PATCHES", "CC"]), values))
def test_keys_of_a_package_are_read_from_its_index_entry(told):
    full = pkgindex_entry.with_ours(entry("a/b-1", "p"), pkgindex_entry.format_metadata(told))

    assert pkgindex_entry.parse_metadata(full) == {key: value for key, value in told.items() if value}
    assert pkgindex_entry.plain(full) == entry("a/b-1", "p")


@given(st.lists(words))
def test_a_shard_gives_back_its_entries(texts):
    made = [entry("a/b-1", "p", word) for word in texts]

    assert list(pkgindex_entry.each(shards.unpacked(shards.packed(made)))) == made


@given(st.lists(words, min_size=1), st.data())
def test_a_shard_with_a_changed_byte_is_rejected(texts, data):
    shard = bytearray(shards.packed([entry("a/b-1", "p", word) for word in texts]))
    shard[data.draw(st.integers(0, len(shard) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(pkgindex_entry.BadIndex):
        shards.unpacked(bytes(shard))


@given(st.lists(st.tuples(cpvs, st.booleans())))
def test_the_last_row_of_a_name_counts(given):
    rows = [
        shards.Row(pkgindex_entry.name(cpv.encode()), cpv, "0", "1", number)
        if here
        else shards.removed_row(pkgindex_entry.name(cpv.encode()))
        for number, (cpv, here) in enumerate(given)
    ]

    found = shards.parse_rows("gentoomuch-names 1\n" + shards.format_rows(rows))

    last = {row.name: row for row in rows}
    assert found == {name: row for name, row in last.items() if row.digest != "-"}
    assert [row.first.encode() for row in found.values()] == sorted(row.first.encode() for row in found.values())


def test_a_truncated_names_file_is_rejected():
    with pytest.raises(pkgindex_entry.BadIndex):
        shards.parse_rows("gentoomuch-names 1\na/b a/b-1 0 1 2\na/c a/c-")


@pytest.mark.parametrize(
    ("cpv", "name"),
    [("a/b-1", "a/b"), ("a/b-2c-1.2_rc3-r4", "a/b-2c"), ("x.y/z+-9999", "x.y/z+"), ("a/b-1.0b_pre_p2", "a/b")],
)
def test_the_name_is_the_part_before_the_version(cpv, name):
    assert pkgindex_entry.name(cpv.encode()) == name


@given(
    st.from_regex(
        r"[a-z0-9+_][a-z0-9+_-]{0,8}-[0-9]{1,3}(\.[0-9]{1,2}){0,2}[a-z]?(_rc[0-9]?)?(-r[0-9])?", fullmatch=True
    )
)
def test_names_are_split_as_by_portage(pf):
    theirs = catpkgsplit(f"app-x/{pf}")
    try:
        ours = pkgindex_entry.name(f"app-x/{pf}".encode())
    except pkgindex_entry.BadIndex:
        ours = ""

    assert theirs is None or ours == f"{theirs[0]}/{theirs[1]}"


@given(st.lists(cpvs, max_size=30), st.lists(cpvs, max_size=4), st.booleans(), st.data())
def test_an_edit_equals_a_complete_rewrite(tmp_path_factory, before, come, compress, data):
    folder = laid(tmp_path_factory.mktemp("index"), before)
    old = entries(before)
    out = data.draw(st.lists(st.sampled_from(old), unique=True)) if old else []
    new = [entry(cpv, f"new-{number}") for number, cpv in enumerate(come)]
    told = {one: b"GM_CFLAGS: -Os\n" for one in new}

    write.change(
        folder, HEADER, [(pkgindex_entry.cpv(one), pkgindex_entry.path(one)) for one in out], told, compress=compress
    )

    kept = sorted((one for one in old if one not in out), key=pkgindex_entry.cpv)
    wanted = HEADER + b"".join(sorted([*kept, *sorted(new, key=pkgindex_entry.cpv)], key=pkgindex_entry.cpv))
    assert (folder / "Packages").read_bytes() == wanted
    assert [gzip.decompress(one.read_bytes()) for one in folder.glob("Packages.gz")] == [wanted] * compress
    assert b"".join(map(pkgindex_entry.plain, by_name(folder))) == b"".join(sorted([*kept, *new], key=in_shards))
    assert stamp.fresh(folder)


def in_shards(one: bytes) -> tuple[str, bytes]:
    return pkgindex_entry.name(pkgindex_entry.cpv(one)), pkgindex_entry.cpv(one)


def by_name(folder: Path) -> list[bytes]:
    return [one for name in sorted(shards.read(folder)) for one in shards.entries(folder, name)]


def test_an_edit_compresses_only_changed_members(tmp_path):
    folder = laid(tmp_path, [f"a/p-{number}" for number in range(900)], size=1000)
    before = stamp.fresh(folder).members
    new = entry("a/p-500", "new")

    write.change(folder, HEADER, (), {new: b""}, compress=True)

    after = stamp.fresh(folder).members
    assert len(before) > 5
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    assert zlib.crc32(gzip.decompress((folder / "Packages.gz").read_bytes())) == zlib.crc32(
        (folder / "Packages").read_bytes()
    )


def test_gzip_members_keep_their_size_as_packages_are_added(tmp_path):
    folder = laid(tmp_path, ["a/p-1"])
    for number in range(40):
        write.change(folder, HEADER, (), {entry("a/p-2", f"{number}", size=20_000): b""}, compress=True)

    assert max(text for text, _ in stamp.fresh(folder).members) < 300_000


@pytest.mark.parametrize("stops", [False, True])
def test_an_edit_leaves_no_thread_and_no_open_file_to_a_fork(tmp_path, monkeypatch, stops):
    folder = laid(tmp_path, ["a/p-1"])
    before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    if stops:
        monkeypatch.setattr(stamp, "write", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError) if stops else nullcontext():
        write.change(folder, HEADER, (), {entry("a/p-2", "x"): b""}, compress=True)
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)

    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before


def test_many_names_change_at_once_with_few_open_files(tmp_path):
    many = [f"a/p{number}-1" for number in range(120)]
    folder, (soft, hard) = laid(tmp_path, many), resource.getrlimit(resource.RLIMIT_NOFILE)
    left = len(list(Path("/proc/self/fd").iterdir())) + 60

    resource.setrlimit(resource.RLIMIT_NOFILE, (left, hard))
    try:
        write.change(folder, HEADER, [], {entry(one, "again"): b"" for one in many}, compress=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert len(list(pkgindex_entry.each((folder / "Packages").read_bytes().partition(b"\n\n")[2]))) == 240


def test_an_index_that_somebody_else_wrote_is_not_edited(tmp_path):
    folder = laid(tmp_path, ["a/p-1"])
    (folder / "Packages").write_bytes(HEADER)

    with pytest.raises(pkgindex_entry.BadIndex):
        write.change(folder, HEADER, (), {}, compress=False)


def test_shards_follow_an_index_written_by_portage(tmp_path):
    folder = laid(tmp_path, ["a/p-1", "b/q-1"])
    (folder / "Packages").write_bytes(HEADER + entry("a/p-1", "other") + entry("c/r-1", "new"))
    assert stamp.fresh(folder) is None

    write.update_shards(folder, lambda path: {"CFLAGS": path})

    assert stamp.fresh(folder)
    assert list(shards.read(folder)) == ["a/p", "c/r"]
    assert not shards.file(folder, "b/q").exists()
    assert [pkgindex_entry.parse_metadata(one) for one in by_name(folder)] == [{"CFLAGS": "other"}, {"CFLAGS": "new"}]


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    folder = laid(tmp_path, ["a/p-1"])
    left = [folder / ".gm-Packages-abc", folder / "gm-index/by-name/a/.p.xyz"]
    for one in left:
        one.write_text("half")

    write.update_shards(folder, lambda path: {})

    assert not any(one.exists() for one in left)


def test_a_compressed_index_left_by_a_kill_is_updated_by_the_next_reader(tmp_path, monkeypatch):
    folder, take = laid(tmp_path, ["a/p-1"]), Fresh.take_place
    monkeypatch.setattr(Fresh, "take_place", lambda one: 1 / 0 if one.target.suffix else take(one))
    with pytest.raises(ZeroDivisionError):
        write.change(folder, HEADER, (), {entry("a/p-2", "x"): b""}, compress=True)
    monkeypatch.setattr(Fresh, "take_place", take)
    assert gzip.decompress((folder / "Packages.gz").read_bytes()) != (folder / "Packages").read_bytes()

    reindex.ensure_shards(SimpleNamespace(folder=folder, compressed=True, locked=nullcontext))

    assert gzip.decompress((folder / "Packages.gz").read_bytes()) == (folder / "Packages").read_bytes()
    assert stamp.fresh(folder).members


@given(st.binary(max_size=2000), st.integers(1, 500))
def test_copying_bytes_copies_these_bytes(tmp_path_factory, content, place):
    folder = tmp_path_factory.mktemp("copy")
    (folder / "a").write_bytes(content)
    with (folder / "a").open("rb") as source, (folder / "b").open("wb") as target:
        edit.copy(source.fileno(), target.fileno(), min(place, len(content)), len(content))

    assert (folder / "b").read_bytes() == content[place:]


def test_offsets_of_large_parts_are_recorded(tmp_path):
    content, told = os.urandom(9 << 20), []
    (tmp_path / "a").write_bytes(content)
    with (tmp_path / "a").open("rb") as source, (tmp_path / "b").open("wb") as target:
        edit.put(target.fileno(), b"header")
        edit.copy(source.fileno(), target.fileno(), 5, len(content), lambda at, size: told.append((at, size)))

    assert (tmp_path / "b").read_bytes() == b"header" + content[5:]
    assert told == [(6, 4 << 20), (6 + (4 << 20), 4 << 20)]


def test_members_are_one_gzip_file():
    assert gzip.decompress(gzip_members.packed(b"one ") + gzip_members.packed(b"two")) == b"one two"
