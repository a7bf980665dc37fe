# SPDX-License-Identifier: GPL-2.0-or-later
"""Update the index of a directory of packages: Portage reads only new and changed packages.

A package is identified by path, size, mtime in nanoseconds and inode; Portage itself compares size and full seconds.
"""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.binpkg.metadata import read_index_fields
from gentoomuch_portage.errors import UsageError, correct_path
from gentoomuch_portage.pkgindex import edit, stamp, write
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.portage_adapter.binpkg import SUFFIXES
from gentoomuch_portage.portage_adapter.pkgdir import Pkgdir, pkgdir

_BATCH = 200
"""Packages that Portage reads at once; progress is reported after each batch."""

Show = Callable[[int], AbstractContextManager[Callable[[str, int], None]]]
"""Called with the number of packages; returns a context that receives progress: ``console.progress``."""
Marks = dict[str, tuple[int, int, int]]
"""Path below the folder -> size, mtime in ns, inode."""


class ReadEntries(NamedTuple):
    """Entries that were read from packages."""

    entries: Mapping[bytes, bytes]
    """Entries of ``Packages`` -> the lines of our own keys."""
    complaints: str
    """Portage's messages about files that are not packages."""


class EarlyRead(NamedTuple):
    """Entries that were read before the lock was taken."""

    marks: Marks
    """Marks of the packages when they were read."""
    read: ReadEntries


def no_progress(_total: int) -> AbstractContextManager[Callable[[str, int], None]]:
    """Show nothing."""
    return nullcontext(lambda _text, _steps: None)


def no_package_folder(folder: Path) -> UsageError:
    """The directory of binary packages does not exist."""
    error = UsageError(
        f"directory {folder} does not exist", code="no-package-folder", hint=f"mkdir -p {shlex.quote(str(folder))}"
    )
    correct_path(error, str(folder))
    return error


def no_index(folder: Path) -> UsageError:
    """A directory of binary packages has no index (file ``Packages``) yet."""
    return UsageError(
        f"{folder} has no index of its packages", code="no-index", hint=f"gentoomuch binhost index {folder}"
    )


class IndexUpdate(NamedTuple):
    """Result of an update."""

    folder: str
    packages: int
    """Packages in the index now."""
    new: int
    """Packages that were read because they are new or changed."""
    gone: int
    """Packages whose files are missing."""
    complaints: str
    """Portage's messages about files that are not packages."""


def update_index(folder: Path | None, only: Iterable[Path] = (), show: Show = no_progress) -> IndexUpdate:
    """Update the index of a directory of packages.

    Args:
        folder: None for PKGDIR.
        only: packages that are new, changed or removed (default: check all).
        show: shows how many packages have been read.

    Raises:
        UsageError[no-package-folder]: it does not exist.
        BadIndex: its index is not in Portage's format.
    """
    directory = pkgdir(folder)
    if not directory.folder.is_dir():
        raise no_package_folder(directory.folder)
    with stamp.explain_damage(directory.folder):
        early_read = None if only else _read_early(directory, show)
        with directory.locked():
            _ensure_shards(directory)
            return _update_some(directory, only) if early_read is None else _update_all(directory, early_read)


def ensure_shards(directory: Pkgdir) -> None:
    """Write the shards of an existing index, whichever program wrote it; packages are not searched.

    Raises:
        UsageError[no-package-folder]: it does not exist.
        UsageError[no-index]: there is no index.
    """
    if not directory.folder.is_dir():
        raise no_package_folder(directory.folder)
    if not (directory.folder / "Packages").is_file():
        raise no_index(directory.folder)
    if stamp.fresh(directory.folder) is None:
        with stamp.explain_damage(directory.folder), directory.locked():
            _ensure_shards(directory)


def _ensure_shards(directory: Pkgdir) -> None:
    folder = directory.folder
    if (folder / "Packages").is_file() and stamp.fresh(folder) is None:
        _sort_index(directory)
        members = write.compress(folder) if directory.compressed and stamp.left_behind(folder) else None
        write.update_shards(folder, lambda path: read_index_fields(folder / path), members)


def find_packages(folder: Path) -> Marks:
    """Find the packages in a directory; empty files are reserved names of packages that builders are writing."""
    marks: Marks = {}
    pending = [""]
    while pending:
        directory = pending.pop()
        with os.scandir(folder / directory) as entries:
            for entry in entries:
                path = f"{directory}{entry.name}"
                if entry.is_dir(follow_symlinks=False) and path != stamp.FOLDER:
                    pending.append(f"{path}/")
                elif entry.name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    marks[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return {path: mark for path, mark in sorted(marks.items()) if mark[0]}


def _read_early(directory: Pkgdir, show: Show) -> EarlyRead:
    """Read new packages before taking the lock, which may take minutes and would block builders."""
    marks, new = _find_new(directory.folder)
    return EarlyRead({path: marks[path] for path in new}, _read_packages(directory, new, show))


def _update_all(directory: Pkgdir, early: EarlyRead) -> IndexUpdate:
    """Read under the lock only what changed since the early read."""
    indexed = _read_indexed(directory.folder)
    marks, new = _find_new(directory.folder)
    gone = [path for path in indexed if path not in marks]
    changed_again = [path for path in new if early.marks.get(path) != marks[path]]
    read_late, unchanged = _read_packages(directory, changed_again, no_progress), {*new} - {*changed_again}
    entries = {entry: lines for entry, lines in early.read.entries.items() if pkgindex_entry.path(entry) in unchanged}
    changes = ReadEntries({**entries, **read_late.entries}, early.read.complaints + read_late.complaints)
    count = _write_changes(
        directory, changes, {path: indexed[path][0] for path in (*gone, *new) if path in indexed}, len(indexed)
    )
    if marks != _read_marks(directory.folder):
        _write_marks(directory.folder, marks)
    return IndexUpdate(str(directory.folder), count, len(changes.entries), len(gone), changes.complaints)


def _find_new(folder: Path) -> tuple[Marks, list[str]]:
    """Return the marks of all packages, and the packages that differ from the index."""
    marks, known, indexed = find_packages(folder), _read_marks(folder), _read_indexed(folder)
    return marks, [path for path, mark in marks.items() if not _is_unchanged(mark, known.get(path), indexed.get(path))]


def _update_some(directory: Pkgdir, only: Iterable[Path]) -> IndexUpdate:
    paths = [str(path.absolute().relative_to(directory.folder)) for path in only]
    existing = [path for path in paths if (directory.folder / path).is_file()]
    before = _find_indexed(directory.folder, paths)
    changes = _read_packages(directory, existing, no_progress)
    count = _write_changes(directory, changes, before, _read_count(directory.folder))
    return IndexUpdate(
        str(directory.folder), count, len(changes.entries), len(paths) - len(existing), changes.complaints
    )


def _read_packages(directory: Pkgdir, paths: list[str], show: Show) -> ReadEntries:
    entries: dict[bytes, bytes] = {}
    complaints = ""
    header = _read_header(directory.folder) or directory.header(b"", 0)
    with show(len(paths)) as step:
        for start in range(0, len(paths), _BATCH):
            part = paths[start : start + _BATCH]
            result = directory.read_packages(part, header)
            entries |= {
                entry: pkgindex_entry.format_metadata(read_index_fields(directory.folder / pkgindex_entry.path(entry)))
                for entry in result.entries
            }
            complaints += result.complaints
            step("", len(part))
    return ReadEntries(entries, complaints)


def _write_changes(directory: Pkgdir, changes: ReadEntries, before: Mapping[str, bytes], count: int) -> int:
    """Write the changes, and return the number of packages in the index."""
    count += len(changes.entries) - len(before)
    first = not (directory.folder / "Packages").is_file()
    if not (changes.entries or before or first):
        return count
    header = directory.header(_read_header(directory.folder), count)
    if first:
        members = write.rewrite(directory.folder, header, changes.entries, compress=directory.compressed)
        own_fields = {
            pkgindex_entry.path(entry): pkgindex_entry.parse_metadata(entry[:-1] + lines + b"\n")
            for entry, lines in changes.entries.items()
        }
        write.update_shards(directory.folder, own_fields.__getitem__, members)
        return count
    drop = [(cpv, path) for path, cpv in before.items()]
    write.change(directory.folder, header, drop, changes.entries, compress=directory.compressed)
    return count


def _sort_index(directory: Pkgdir) -> None:
    """Sort an index that another program appended to; Portage reads it in any order, and writes it sorted."""
    with edit.open_view(directory.folder / "Packages") as view:
        header, entries = view.header, list(pkgindex_entry.each(view.data[view.body :]))
    cpvs = [pkgindex_entry.cpv(entry) for entry in entries]
    if cpvs != sorted(cpvs):
        write.rewrite(directory.folder, header, entries, compress=directory.compressed)


def _is_unchanged(
    mark: tuple[int, int, int], known: tuple[int, int, int] | None, indexed: tuple[bytes, int, int] | None
) -> bool:
    size, mtime, _ = mark
    if indexed is None or indexed[1:] != (size, mtime // 1_000_000_000):
        return False
    return known is None or known == mark


def _write_marks(folder: Path, marks: Marks) -> None:
    lines = (f"{path}\t{size}\t{mtime}\t{inode}\n" for path, (size, mtime, inode) in marks.items())
    fs.write(folder / stamp.FOLDER / "files", f"{folder.stat().st_ino}\n{''.join(lines)}")


def _read_marks(folder: Path) -> Marks:
    """Read the marks of the last update; empty if there are none, or if the directory was copied."""
    try:
        inode, *lines = (folder / stamp.FOLDER / "files").read_text(encoding="utf-8").splitlines()
        rows = (line.rsplit("\t", 3) for line in lines if int(inode) == folder.stat().st_ino)
        return {path: (int(size), int(mtime), int(inode)) for path, size, mtime, inode in rows}
    except (OSError, ValueError):
        return {}


def _read_indexed(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return path -> cpv, size and mtime in s according to ``Packages``."""
    try:
        with edit.open_view(folder / "Packages") as view:
            return {
                pkgindex_entry.path(entry): _parse_row(entry) for entry in pkgindex_entry.each(view.data[view.body :])
            }
    except FileNotFoundError:
        return {}


def _parse_row(entry: bytes) -> tuple[bytes, int, int]:
    fields = pkgindex_entry.fields(entry)
    return pkgindex_entry.cpv(entry), pkgindex_entry.number(fields, "SIZE"), pkgindex_entry.number(fields, "MTIME")


def _find_indexed(folder: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Return path -> cpv of the paths that are in the index."""
    try:
        with edit.open_view(folder / "Packages") as view:
            return {path: cpv for path in paths for cpv in _possible_cpvs(path) if _has_path(view, cpv, path)}
    except FileNotFoundError:
        return {}


def _has_path(view: edit.View, cpv: bytes, path: str) -> bool:
    return any(pkgindex_entry.path(entry) == path for _, entry in view.of_cpv(cpv))


def _possible_cpvs(path: str) -> Iterator[bytes]:
    """Yield the cpvs that a path can have: ``cat/pkg/pkg-1-2.gpkg.tar`` or ``cat/pkg-1.tbz2``."""
    parts = path.split("/")
    name = next((parts[-1].removesuffix(suffix) for suffix in SUFFIXES if parts[-1].endswith(suffix)), parts[-1])
    yield f"{parts[0]}/{name}".encode()
    yield f"{parts[0]}/{name.rpartition('-')[0]}".encode()


def _read_header(folder: Path) -> bytes:
    try:
        with edit.open_view(folder / "Packages") as view:
            return view.header
    except FileNotFoundError:
        return b""


def _read_count(folder: Path) -> int:
    return pkgindex_entry.number(pkgindex_entry.fields(_read_header(folder)), "PACKAGES")
