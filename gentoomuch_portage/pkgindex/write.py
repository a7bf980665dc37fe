"""Put a changed index in its place: ``Packages``, ``Packages.gz``, the shards, their names, the stamp, in this order.

``Packages`` is what everybody reads, so it comes first; until the stamp names it, our readers take it and no shards.
Whoever calls holds Portage's lock of the index. Killed anywhere, a whole ``Packages`` is there, and the
shards are those of it or are not used.

A file that takes the place of another in one step, as Portage would have written it.

Big files that take the place of others: the disk's part of it, while other things go on.

A file system like ext4 looks for room for a file when it is written out, and writes it out when it replaces another
(Source: ext4(5), auto_da_alloc): 15 ms for 40 MB. So each part is written out as soon as it is there.

Whoever is the last to close a file that has no name any more waits until the disk has let go of it: 10 to 20 ms for
40 MB, more than it takes to write the new one. So it is held open while its place is taken, and a thread closes it.
Nobody waits for that thread but a fork, for Portage forks, and what a thread does is lost on a child.
"""

import functools
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.pkgindex import edit, gzip_members, shards, stamp
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.pkgindex.edit import Edit, View
from gentoomuch_portage.pkgindex.shards import Row
from gentoomuch_portage.pkgindex.stamp import Stamp

_THREADS: list[threading.Thread] = []


@contextmanager
def freeing(*files: Path) -> Iterator[None]:
    """Hold files, those that are there, for as long as the block runs; then a thread lets go of them."""
    numbers: list[int] = []
    try:
        for one in files:
            with suppress(FileNotFoundError):
                numbers.append(os.open(one, os.O_RDONLY | os.O_CLOEXEC))
        yield
    finally:
        _before_forks()
        wait()
        thread = threading.Thread(target=_closed, args=(numbers,))
        thread.start()
        _THREADS.append(thread)


@contextmanager
def written_out(number: int) -> Iterator[Callable[[int, int], object]]:
    """A thread begins to write parts of a file to the disk, those that it is told of: where, and how many bytes.

    Only the advice that they are not needed starts that (Source: mm/fadvise.c); what is not on the disk yet stays in
    memory in spite of it.
    """
    with ThreadPoolExecutor(1) as aside:
        yield lambda at, size: aside.submit(os.posix_fadvise, number, at, size, os.POSIX_FADV_DONTNEED)


def wait() -> None:
    """Until nothing is held any more."""
    while _THREADS:
        _THREADS.pop().join()


def _closed(numbers: list[int]) -> None:
    for one in numbers:
        os.close(one)


@functools.cache
def _before_forks() -> None:
    os.register_at_fork(before=wait)


NEW = ".gm-Packages-"
"""How the names of files begin that have not taken their places."""


class Fresh(NamedTuple):
    """A file that is to take the place of another."""

    number: int
    name: Path
    target: Path
    header: bytes

    def take_place(self) -> None:
        """With the owner and the time that Portage gives it. Source: binarytree._pkgindex_write, _file_permissions."""
        folder = self.target.parent.stat()
        before = self.target.stat().st_mode if self.target.exists() else 0o644
        os.fchmod(self.number, (before | folder.st_mode & 0o060) & 0o777)
        with suppress(PermissionError):
            os.fchown(self.number, -1, folder.st_gid)
        seconds = pkgindex_entry.number(pkgindex_entry.fields(self.header), "TIMESTAMP")
        os.utime(self.number, (seconds, seconds))
        self.name.replace(self.target)


@contextmanager
def fresh(target: Path, header: bytes) -> Iterator[Fresh]:
    """A file to write to; gone at the end unless it took its place."""
    number, name = tempfile.mkstemp(prefix=NEW, dir=target.parent)
    try:
        yield Fresh(number, Path(name), target, header)
    finally:
        os.close(number)
        Path(name).unlink(missing_ok=True)


Told = Callable[[str], Mapping[str, str]]
"""Path of a package below its folder -> what it tells under our keys."""
_HELD = 16
"""Old shards that are held while others take their places: each is an open file, and of those there may be 1,024."""


def change(
    folder: Path, header: bytes, drop: Iterable[tuple[bytes, str]], add: Mapping[bytes, bytes], *, compress: bool
) -> None:
    """Change some entries of an index whose stamp is fresh.

    Args:
        header: the new one with its empty line; its TIMESTAMP becomes the mtime, as Portage does it.
        drop: cpv and path of entries that go; one that comes again under its path is named here too.
        add: entries that come -> the lines of our keys.
        compress: also ``Packages.gz``; without that it is removed.

    Raises:
        BadIndex: the index is not what it was.
    """
    before = stamp.fresh(folder)
    if before is None:
        raise pkgindex_entry.BadIndex(str(folder), "its index is not up to date")
    drop = list(drop)
    shelved = {
        shards.file(folder, pkgindex_entry.name(cpv))
        for cpv in (*(cpv for cpv, _ in drop), *map(pkgindex_entry.cpv, add))
    }
    with freeing(folder / "Packages", folder / "Packages.gz", *islice(shelved, _HELD)):
        with edit.viewed(folder / "Packages") as view:
            changes = edit.edits(view, drop, add)
            members = _files(folder, view, header, changes, before, compress=compress)
        shards.add(folder, _shards(folder, drop, add))
        fs.write(folder / stamp.FOLDER / "header", header, durable=False)
        stamp.write(folder, members)


def rewrite(folder: Path, header: bytes, entries: Iterable[bytes], *, compress: bool) -> list[list[int]]:
    """Write all of ``Packages`` anew, sorted, and ``Packages.gz``; what to call ``follow`` with next."""
    ordered = sorted(entries, key=pkgindex_entry.cpv)
    text = header + b"".join(ordered)
    target = folder / "Packages"
    view = View(text, len(header))
    with fresh(target, header) as plain:
        edit.put(plain.number, text)
        plain.take_place()
    if not compress:
        return _without(target)
    with _compressed(target, view, header, [], []) as (packed, members):
        packed.take_place()
    return members


def compress(folder: Path) -> list[list[int]]:
    """Write ``Packages.gz`` of the ``Packages`` that is there; what to call ``follow`` with next."""
    target = folder / "Packages"
    with edit.viewed(target) as view, _compressed(target, view, view.header, [], []) as (packed, members):
        packed.take_place()
    return members


def follow(folder: Path, told: Told, members: list[list[int]] | None = None) -> None:
    """Bring the shards up to ``Packages``, whoever wrote that.

    Args:
        told: asked for packages of which no shard tells yet.
        members: of the ``Packages.gz`` that is there; none where somebody else wrote it.

    Raises:
        BadIndex: ``Packages`` is not sorted, or not what Portage writes.
    """
    _swept(folder)
    with edit.viewed(folder / "Packages") as view:
        header, found = view.header, [*pkgindex_entry.each(view.data[view.body :])]
    cpvs = [pkgindex_entry.cpv(one) for one in found]
    if any(one > other for one, other in pairwise(cpvs)):
        raise pkgindex_entry.BadIndex(str(folder / "Packages"), "it is not sorted by CPV")
    by_name: dict[str, list[bytes]] = {}
    for cpv, one in zip(cpvs, found, strict=True):
        by_name.setdefault(pkgindex_entry.name(cpv), []).append(one)
    known, there = _rows(folder), _there(folder)
    rows = [
        _followed(folder, known.get(name) if name in there else None, name, ones, told)
        for name, ones in by_name.items()
    ]
    for gone in there - by_name.keys():
        shards.file(folder, gone).unlink(missing_ok=True)
    shards.write_rows(folder, rows)
    fs.write(folder / stamp.FOLDER / "header", header, durable=False)
    stamp.write(folder, members or [])


def _swept(folder: Path) -> None:
    """Remove what killed writers left; nobody else writes now."""
    for left in (*folder.glob(f"{NEW}*"), *(folder / stamp.FOLDER).glob("by-name/*/.*")):
        left.unlink(missing_ok=True)


def _followed(folder: Path, row: Row | None, name: str, entries: list[bytes], told: Told) -> Row:
    """The row of a shard, which is written where it is not the one of these entries."""
    if row is not None and row.plain == shards.crc(entries):
        return row
    known = {pkgindex_entry.plain(one): one for one in _entries(folder, name)}
    full = [
        known.get(one) or pkgindex_entry.with_ours(one, pkgindex_entry.lines(told(pkgindex_entry.path(one))))
        for one in entries
    ]
    return shards.write(folder, name, full)


def _entries(folder: Path, name: str) -> list[bytes]:
    try:
        return shards.entries(folder, name)
    except pkgindex_entry.BadIndex:
        return []


def _rows(folder: Path) -> dict[str, Row]:
    """What is said of the shards that are there; nothing where a run was killed since."""
    try:
        return shards.read(folder)
    except (OSError, pkgindex_entry.BadIndex):
        return {}


def _there(folder: Path) -> set[str]:
    """The names that shards lie there for, whatever the file of names says: a run may have been killed."""
    top = folder / stamp.FOLDER / "by-name"
    return {f"{one.parent.name}/{one.name}" for one in top.glob("*/*") if not one.name.startswith(".")}


def _files(
    folder: Path, view: View, header: bytes, changes: list[Edit], before: Stamp, *, compress: bool
) -> list[list[int]]:
    """Write ``Packages`` and ``Packages.gz``, both at once; the members of the latter."""
    target = folder / "Packages"
    with target.open("rb") as source, fresh(target, header) as plain, ExitStack() as aside:
        written = aside.enter_context(written_out(plain.number))
        copied = aside.enter_context(ThreadPoolExecutor(1)).submit(
            edit.write, view, source.fileno(), plain.number, header, changes, written
        )
        if not compress:
            copied.result()
            plain.take_place()
            return _without(target)
        with _compressed(target, view, header, changes, _members(folder, before)) as (packed, members):
            copied.result()
            plain.take_place()
            packed.take_place()
        return members


def _without(target: Path) -> list[list[int]]:
    """No ``Packages.gz``, as Portage without compress-index has it."""
    target.with_name("Packages.gz").unlink(missing_ok=True)
    return []


def _members(folder: Path, before: Stamp) -> list[list[int]]:
    """Those of the ``Packages.gz`` that is there, if we wrote it."""
    with suppress(FileNotFoundError):
        if before.members and stamp.identity((folder / "Packages.gz").stat()) == before.compressed:
            return before.members
    return []


@contextmanager
def _compressed(
    plain: Path, view: View, header: bytes, changes: list[Edit], old: list[list[int]]
) -> Iterator[tuple[Fresh, list[list[int]]]]:
    """The new ``Packages.gz``, and its members.

    Args:
        old: members of the file that is there.
    """
    target = plain.with_name("Packages.gz")
    made = []
    with (target if old else Path(os.devnull)).open("rb") as before, fresh(target, header) as packed:
        start = end = 0
        for one in gzip_members.members(view, header, changes, old):
            if one.content or one.start != end:
                edit.copy(before.fileno(), packed.number, start, end)  # what stays is copied in one go
                start = one.start
            edit.put(packed.number, one.content)
            end = one.end
            made.append([one.text, len(one.content) or one.end - one.start])
        edit.copy(before.fileno(), packed.number, start, end)
        yield packed, made


def _shards(folder: Path, drop: Iterable[tuple[bytes, str]], add: Mapping[bytes, bytes]) -> list[Row]:
    """Write the shards of the names that change; their rows."""
    gone: dict[str, set[tuple[bytes, str]]] = {}
    for cpv, path in drop:
        gone.setdefault(pkgindex_entry.name(cpv), set()).add((cpv, path))
    come: dict[str, list[bytes]] = {}
    for one, ours in add.items():
        come.setdefault(pkgindex_entry.name(pkgindex_entry.cpv(one)), []).append(pkgindex_entry.with_ours(one, ours))
    rows = []
    for name in gone | come:
        kept = [one for one in shards.entries(folder, name) if _key(one) not in gone.get(name, ())]
        full = sorted((*kept, *come.get(name, ())), key=pkgindex_entry.cpv)
        rows.append(shards.write(folder, name, full))
    return rows


def _key(entry: bytes) -> tuple[bytes, str]:
    return pkgindex_entry.cpv(entry), pkgindex_entry.path(entry)
