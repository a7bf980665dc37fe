# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a changed index: ``Packages``, ``Packages.gz``, the shards, their names, the stamp, in this order.

Other programs read ``Packages``, so it is the first; until the stamp names it, our readers use it without shards. The
caller has Portage's lock of the index. After a kill at any point ``Packages`` is complete, and the shards are either up
to date or not used.

A file system like ext4 allocates the blocks of a file when it flushes it, and flushes it when it replaces another file
(Source: ext4(5), auto_da_alloc): 15 ms for 40 MB. So each part is flushed early, in a thread.

The last process that closes a deleted file waits until its blocks are free: 10 to 20 ms for 40 MB, more than it takes
to write the new file. So the old file stays open while it is replaced, and a thread closes it. A fork waits for that
thread, because Portage forks, and a child has none of the threads.
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
def keep_open(*files: Path) -> Iterator[None]:
    """Keep existing files open while the block runs; then a thread closes them."""
    numbers: list[int] = []
    try:
        for file in files:
            with suppress(FileNotFoundError):
                numbers.append(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
        yield
    finally:
        _before_forks()
        wait()
        thread = threading.Thread(target=_close_all, args=(numbers,))
        thread.start()
        _THREADS.append(thread)


@contextmanager
def flush_parts(number: int) -> Iterator[Callable[[int, int], object]]:
    """Yield a function that flushes a part of a file, in a thread: it takes offset and size.

    Only the advice that the part is not needed starts that (Source: mm/fadvise.c); unwritten pages stay in memory.
    """
    with ThreadPoolExecutor(1) as aside:
        yield lambda at, size: aside.submit(os.posix_fadvise, number, at, size, os.POSIX_FADV_DONTNEED)


def wait() -> None:
    """Wait until all threads have closed their files."""
    while _THREADS:
        _THREADS.pop().join()


def _close_all(numbers: list[int]) -> None:
    for number in numbers:
        os.close(number)


@functools.cache
def _before_forks() -> None:
    os.register_at_fork(before=wait)


NEW = ".gm-Packages-"
"""Prefix of temporary files."""


class Fresh(NamedTuple):
    """A temporary file that will replace another one."""

    number: int
    name: Path
    target: Path
    header: bytes

    def take_place(self) -> None:
        """Replace it, with Portage's mode, group and time. Source: binarytree._pkgindex_write, _file_permissions."""
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
    """Create a temporary file, and remove it at the end of the block unless it has replaced the target."""
    with fs.disk_errors(target):
        number, name = tempfile.mkstemp(prefix=NEW, dir=target.parent)
        try:
            yield Fresh(number, Path(name), target, header)
        finally:
            os.close(number)
            Path(name).unlink(missing_ok=True)


ReadFields = Callable[[str], Mapping[str, str]]
"""Returns the metadata for our keys of a package; its argument is the path in PKGDIR."""
_MAX_OPEN = 16
"""Maximum number of old shards that stay open; a process may have 1,024 open files."""


def change(
    folder: Path, header: bytes, drop: Iterable[tuple[bytes, str]], add: Mapping[bytes, bytes], *, compress: bool
) -> None:
    """Change some entries of an index whose shards are up to date.

    Args:
        header: the new header with its empty line; mtime is set to its TIMESTAMP, as Portage does.
        drop: cpv and path of entries to remove, including those that are replaced.
        add: entries to add -> the lines of our keys.
        compress: write ``Packages.gz`` as well; otherwise remove it.

    Raises:
        BadIndex: the index has changed.
    """
    before = stamp.fresh(folder)
    if before is None:
        raise pkgindex_entry.BadIndex(str(folder), "its shards are out of date")
    drop = list(drop)
    replaced = {
        shards.file(folder, pkgindex_entry.name(cpv))
        for cpv in (*(cpv for cpv, _ in drop), *map(pkgindex_entry.cpv, add))
    }
    with keep_open(folder / "Packages", folder / "Packages.gz", *islice(replaced, _MAX_OPEN)):
        with edit.open_view(folder / "Packages") as view:
            changes = edit.edits(view, drop, add)
            members = _files(folder, view, header, changes, before, compress=compress)
        shards.add(folder, _shards(folder, drop, add))
        fs.write(folder / stamp.FOLDER / "header", header, durable=False)
        stamp.write(folder, members)


def rewrite(folder: Path, header: bytes, entries: Iterable[bytes], *, compress: bool) -> list[list[int]]:
    """Write all of ``Packages``, sorted, and ``Packages.gz``; return its members for ``update_shards``."""
    ordered = sorted(entries, key=pkgindex_entry.cpv)
    text = header + b"".join(ordered)
    target = folder / "Packages"
    view = View(text, len(header))
    with fresh(target, header) as plain:
        edit.put(plain.number, text)
        plain.take_place()
    if not compress:
        return _remove_compressed(target)
    with _compressed(target, view, header, [], []) as (packed, members):
        packed.take_place()
    return members


def compress(folder: Path) -> list[list[int]]:
    """Write ``Packages.gz`` for the current ``Packages``; return its members for ``update_shards``."""
    target = folder / "Packages"
    with edit.open_view(target) as view, _compressed(target, view, view.header, [], []) as (packed, members):
        packed.take_place()
    return members


def update_shards(folder: Path, read_fields: ReadFields, members: list[list[int]] | None = None) -> None:
    """Update the shards for the current ``Packages``.

    Args:
        read_fields: is called for packages that are in no shard.
        members: those of the current ``Packages.gz``; None if we did not write it.

    Raises:
        BadIndex: ``Packages`` is not sorted, or damaged.
    """
    _remove_leftovers(folder)
    with edit.open_view(folder / "Packages") as view:
        header, entries = view.header, [*pkgindex_entry.each(view.data[view.body :])]
    cpvs = [pkgindex_entry.cpv(text) for text in entries]
    if any(cpv > following for cpv, following in pairwise(cpvs)):
        raise pkgindex_entry.BadIndex(str(folder / "Packages"), "it is not sorted by CPV")
    by_name: dict[str, list[bytes]] = {}
    for cpv, text in zip(cpvs, entries, strict=True):
        by_name.setdefault(pkgindex_entry.name(cpv), []).append(text)
    known, existing = _rows(folder), _existing_names(folder)
    rows = [
        _update_shard(folder, known.get(name) if name in existing else None, name, texts, read_fields)
        for name, texts in by_name.items()
    ]
    for gone in existing - by_name.keys():
        shards.file(folder, gone).unlink(missing_ok=True)
    shards.write_rows(folder, rows)
    fs.write(folder / stamp.FOLDER / "header", header, durable=False)
    stamp.write(folder, members or [])


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers; the caller is the only writer."""
    for left in (*folder.glob(f"{NEW}*"), *(folder / stamp.FOLDER).glob("by-name/*/.*")):
        left.unlink(missing_ok=True)


def _update_shard(folder: Path, row: Row | None, name: str, entries: list[bytes], read_fields: ReadFields) -> Row:
    """Return the row of a shard; write the shard if it has other entries."""
    if row is not None and row.plain == shards.crc(entries):
        return row
    known = {pkgindex_entry.plain(text): text for text in _entries(folder, name)}
    full = [
        known.get(text)
        or pkgindex_entry.with_ours(text, pkgindex_entry.format_metadata(read_fields(pkgindex_entry.path(text))))
        for text in entries
    ]
    return shards.write(folder, name, full)


def _entries(folder: Path, name: str) -> list[bytes]:
    try:
        return shards.entries(folder, name)
    except pkgindex_entry.BadIndex:
        return []


def _rows(folder: Path) -> dict[str, Row]:
    """Return the rows of the existing shards; empty if a run was killed."""
    try:
        return shards.read(folder)
    except (OSError, pkgindex_entry.BadIndex):
        return {}


def _existing_names(folder: Path) -> set[str]:
    """Return the names of existing shards, also of those that a killed run did not add to the list."""
    top = folder / stamp.FOLDER / "by-name"
    return {f"{shard.parent.name}/{shard.name}" for shard in top.glob("*/*") if not shard.name.startswith(".")}


def _files(
    folder: Path, view: View, header: bytes, changes: list[Edit], before: Stamp, *, compress: bool
) -> list[list[int]]:
    """Write ``Packages`` and ``Packages.gz`` in parallel; return the members of the latter."""
    target = folder / "Packages"
    with target.open("rb") as source, fresh(target, header) as plain, ExitStack() as aside:
        written = aside.enter_context(flush_parts(plain.number))
        copied = aside.enter_context(ThreadPoolExecutor(1)).submit(
            edit.write, view, source.fileno(), plain.number, header, changes, written
        )
        if not compress:
            copied.result()
            plain.take_place()
            return _remove_compressed(target)
        with _compressed(target, view, header, changes, _members(folder, before)) as (packed, members):
            copied.result()
            plain.take_place()
            packed.take_place()
        return members


def _remove_compressed(target: Path) -> list[list[int]]:
    """Remove ``Packages.gz``, as Portage does without compress-index."""
    target.with_name("Packages.gz").unlink(missing_ok=True)
    return []


def _members(folder: Path, before: Stamp) -> list[list[int]]:
    """Return the members of the current ``Packages.gz``, if we wrote it."""
    with suppress(FileNotFoundError):
        if before.members and stamp.identity((folder / "Packages.gz").stat()) == before.compressed:
            return before.members
    return []


@contextmanager
def _compressed(
    plain: Path, view: View, header: bytes, changes: list[Edit], old: list[list[int]]
) -> Iterator[tuple[Fresh, list[list[int]]]]:
    """Write the new ``Packages.gz``; return it with its members.

    Args:
        old: members of the current file.
    """
    target = plain.with_name("Packages.gz")
    made = []
    with (target if old else Path(os.devnull)).open("rb") as before, fresh(target, header) as packed:
        start = end = 0
        for member in gzip_members.members(view, header, changes, old):
            if member.content or member.start != end:
                edit.copy(before.fileno(), packed.number, start, end)  # unchanged members are copied together
                start = member.start
            edit.put(packed.number, member.content)
            end = member.end
            made.append([member.text, len(member.content) or member.end - member.start])
        edit.copy(before.fileno(), packed.number, start, end)
        yield packed, made


def _shards(folder: Path, drop: Iterable[tuple[bytes, str]], add: Mapping[bytes, bytes]) -> list[Row]:
    """Write the shards of changed names; return their rows."""
    gone: dict[str, set[tuple[bytes, str]]] = {}
    for cpv, path in drop:
        gone.setdefault(pkgindex_entry.name(cpv), set()).add((cpv, path))
    come: dict[str, list[bytes]] = {}
    for text, ours in add.items():
        come.setdefault(pkgindex_entry.name(pkgindex_entry.cpv(text)), []).append(pkgindex_entry.with_ours(text, ours))
    rows = []
    for name in gone | come:
        kept = [text for text in shards.entries(folder, name) if _key(text) not in gone.get(name, ())]
        full = sorted((*kept, *come.get(name, ())), key=pkgindex_entry.cpv)
        rows.append(shards.write(folder, name, full))
    return rows


def _key(entry: bytes) -> tuple[bytes, str]:
    return pkgindex_entry.cpv(entry), pkgindex_entry.path(entry)
