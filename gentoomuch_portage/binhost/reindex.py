"""Bring the index of a folder of packages up to date: Portage reads what is new or changed, and nothing else.

A package is known by its path, size, mtime in nanoseconds and inode; Portage itself compares size and full seconds.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.binpkg.metadata import told
from gentoomuch_portage.errors import UsageError
from gentoomuch_portage.pkgindex import edit, stamp, write
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.portage_adapter.pkgdir import SUFFIXES, Pkgdir, pkgdir

_AT_ONCE = 200
"""Packages that Portage reads in one go; progress is told after each."""

Show = Callable[[int], AbstractContextManager[Callable[[str, int], None]]]
"""Gets how many packages there are, and gives a context in which it hears of them: ``console.progress``."""
Marks = dict[str, tuple[int, int, int]]
"""Path below the folder -> size, mtime in ns, inode."""


class Read(NamedTuple):
    """What was read of packages."""

    entries: Mapping[bytes, bytes]
    """Their entries in ``Packages`` -> the lines of our keys."""
    complaints: str
    """What Portage said of those that are no packages."""


class Early(NamedTuple):
    """What was read before the lock was taken."""

    marks: Marks
    """Of all that was read, as it was before."""
    heard: Read


def unseen(_total: int) -> AbstractContextManager[Callable[[str, int], None]]:
    """Show nothing."""
    return nullcontext(lambda _text, _steps: None)


class NoFolder(UsageError):
    """There is no such folder of packages."""

    code = "no-package-folder"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"there is no folder {folder}", remedy="gentoomuch binhost index DIR")
        self.folder = folder


class NoIndex(UsageError):
    """A folder of packages has no index yet."""

    code = "no-index"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} has no index of its packages", remedy=f"gentoomuch binhost index {folder}")
        self.folder = folder


class Done(NamedTuple):
    """What was done."""

    folder: str
    packages: int
    """In the index now."""
    new: int
    """Read, because they are new or have changed."""
    gone: int
    """Taken out, because their files are gone."""
    complaints: str
    """What Portage said of files that are no packages."""


def bring_up_to_date(folder: Path | None, only: Iterable[Path] = (), show: Show = unseen) -> Done:
    """Make the index say what lies in a folder.

    Args:
        folder: PKGDIR where it is None.
        only: packages that are new, changed or gone; nothing else is looked at. Empty: all are.
        show: shows how many packages have been read.

    Raises:
        NoFolder: it is not there.
        BadIndex: the index there is not what Portage writes.
    """
    shelf = pkgdir(folder)
    if not shelf.folder.is_dir():
        raise NoFolder(shelf.folder)
    with stamp.way_out(shelf.folder):
        early = None if only else _early(shelf, show)
        with shelf.locked():
            _followed(shelf)
            return _some(shelf, only) if early is None else _all(shelf, early)


def followed(shelf: Pkgdir) -> None:
    """See to it that there are shards of the index that is there, whoever wrote it; packages are not looked for.

    Raises:
        NoFolder: it is not there.
        NoIndex: nobody wrote one.
    """
    if not shelf.folder.is_dir():
        raise NoFolder(shelf.folder)
    if not (shelf.folder / "Packages").is_file():
        raise NoIndex(shelf.folder)
    if stamp.fresh(shelf.folder) is None:
        with stamp.way_out(shelf.folder), shelf.locked():
            _followed(shelf)


def _followed(shelf: Pkgdir) -> None:
    folder = shelf.folder
    if (folder / "Packages").is_file() and stamp.fresh(folder) is None:
        _sorted(shelf)
        members = write.compress(folder) if shelf.compressed and stamp.left_behind(folder) else None
        write.follow(folder, lambda path: told(folder / path), members)


def found(folder: Path) -> Marks:
    """The packages that lie in a folder; empty files are names that builders have taken for packages to come."""
    marks: Marks = {}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as held:
            for one in held:
                path = f"{below}{one.name}"
                if one.is_dir(follow_symlinks=False) and path != stamp.FOLDER:
                    waiting.append(f"{path}/")
                elif one.name.endswith(SUFFIXES) and one.is_file(follow_symlinks=False):
                    seen = one.stat(follow_symlinks=False)
                    marks[path] = (seen.st_size, seen.st_mtime_ns, seen.st_ino)
    return {path: mark for path, mark in sorted(marks.items()) if mark[0]}


def _early(shelf: Pkgdir, show: Show) -> Early:
    """Read what is new before the lock is taken, for that may take minutes, and builders wait for it."""
    marks, new = _new(shelf.folder)
    return Early({path: marks[path] for path in new}, _read(shelf, new, show))


def _all(shelf: Pkgdir, early: Early) -> Done:
    """Look again, under the lock: only what came or changed in between is read."""
    indexed = _indexed(shelf.folder)
    marks, new = _new(shelf.folder)
    gone = [path for path in indexed if path not in marks]
    again = [path for path in new if early.marks.get(path) != marks[path]]
    late, still = _read(shelf, again, unseen), {*new} - {*again}
    entries = {one: lines for one, lines in early.heard.entries.items() if pkgindex_entry.path(one) in still}
    heard = Read({**entries, **late.entries}, early.heard.complaints + late.complaints)
    count = _changed(shelf, heard, {path: indexed[path][0] for path in (*gone, *new) if path in indexed}, len(indexed))
    if marks != _remembered(shelf.folder):
        _remember(shelf.folder, marks)
    return Done(str(shelf.folder), count, len(heard.entries), len(gone), heard.complaints)


def _new(folder: Path) -> tuple[Marks, list[str]]:
    """All packages, and those that the index does not know as they are now."""
    marks, known, indexed = found(folder), _remembered(folder), _indexed(folder)
    return marks, [path for path, mark in marks.items() if not _same(mark, known.get(path), indexed.get(path))]


def _some(shelf: Pkgdir, only: Iterable[Path]) -> Done:
    paths = [str(one.absolute().relative_to(shelf.folder)) for one in only]
    here = [path for path in paths if (shelf.folder / path).is_file()]
    before = _of_paths(shelf.folder, paths)
    heard = _read(shelf, here, unseen)
    count = _changed(shelf, heard, before, _count(shelf.folder))
    return Done(str(shelf.folder), count, len(heard.entries), len(paths) - len(here), heard.complaints)


def _read(shelf: Pkgdir, paths: list[str], show: Show) -> Read:
    entries: dict[bytes, bytes] = {}
    complaints = ""
    header = _header(shelf.folder) or shelf.header(b"", 0)
    with show(len(paths)) as step:
        for at in range(0, len(paths), _AT_ONCE):
            part = paths[at : at + _AT_ONCE]
            heard = shelf.heard(part, header)
            entries |= {
                one: pkgindex_entry.lines(told(shelf.folder / pkgindex_entry.path(one))) for one in heard.entries
            }
            complaints += heard.complaints
            step("", len(part))
    return Read(entries, complaints)


def _changed(shelf: Pkgdir, heard: Read, before: Mapping[str, bytes], count: int) -> int:
    """Write what changed; how many packages the index has now."""
    count += len(heard.entries) - len(before)
    first = not (shelf.folder / "Packages").is_file()
    if not (heard.entries or before or first):
        return count
    header = shelf.header(_header(shelf.folder), count)
    if first:
        members = write.rewrite(shelf.folder, header, heard.entries, compress=shelf.compressed)
        ours = {
            pkgindex_entry.path(one): pkgindex_entry.told(one[:-1] + lines + b"\n")
            for one, lines in heard.entries.items()
        }
        write.follow(shelf.folder, ours.__getitem__, members)
        return count
    drop = [(cpv, path) for path, cpv in before.items()]
    write.change(shelf.folder, header, drop, heard.entries, compress=shelf.compressed)
    return count


def _sorted(shelf: Pkgdir) -> None:
    """Sort an index that somebody appended to; Portage reads it as it is, and sorts it whenever it writes."""
    with edit.viewed(shelf.folder / "Packages") as view:
        header, entries = view.header, list(pkgindex_entry.each(view.data[view.body :]))
    cpvs = [pkgindex_entry.cpv(one) for one in entries]
    if cpvs != sorted(cpvs):
        write.rewrite(shelf.folder, header, entries, compress=shelf.compressed)


def _same(
    mark: tuple[int, int, int], known: tuple[int, int, int] | None, indexed: tuple[bytes, int, int] | None
) -> bool:
    size, mtime, _ = mark
    if indexed is None or indexed[1:] != (size, mtime // 1_000_000_000):
        return False
    return known is None or known == mark


def _remember(folder: Path, marks: Marks) -> None:
    lines = (f"{path}\t{size}\t{mtime}\t{inode}\n" for path, (size, mtime, inode) in marks.items())
    fs.write(folder / stamp.FOLDER / "files", f"{folder.stat().st_ino}\n{''.join(lines)}")


def _remembered(folder: Path) -> Marks:
    """The marks of the last time; empty where there are none, or those of a folder that this one is a copy of."""
    try:
        inode, *lines = (folder / stamp.FOLDER / "files").read_text(encoding="utf-8").splitlines()
        rows = (line.rsplit("\t", 3) for line in lines if int(inode) == folder.stat().st_ino)
        return {path: (int(size), int(mtime), int(inode)) for path, size, mtime, inode in rows}
    except (OSError, ValueError):
        return {}


def _indexed(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Path -> cpv, size and mtime in s, as ``Packages`` says."""
    try:
        with edit.viewed(folder / "Packages") as view:
            return {pkgindex_entry.path(one): _row(one) for one in pkgindex_entry.each(view.data[view.body :])}
    except FileNotFoundError:
        return {}


def _row(entry: bytes) -> tuple[bytes, int, int]:
    said = pkgindex_entry.fields(entry)
    return pkgindex_entry.cpv(entry), pkgindex_entry.number(said, "SIZE"), pkgindex_entry.number(said, "MTIME")


def _of_paths(folder: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Path -> cpv of those that are in the index."""
    try:
        with edit.viewed(folder / "Packages") as view:
            return {path: cpv for path in paths for cpv in _cpvs(path) if _has(view, cpv, path)}
    except FileNotFoundError:
        return {}


def _has(view: edit.View, cpv: bytes, path: str) -> bool:
    return any(pkgindex_entry.path(one) == path for _, one in view.of_cpv(cpv))


def _cpvs(path: str) -> Iterator[bytes]:
    """The cpvs that a path can be of: ``cat/pkg/pkg-1-2.gpkg.tar`` or ``cat/pkg-1.tbz2``."""
    parts = path.split("/")
    name = next((parts[-1].removesuffix(one) for one in SUFFIXES if parts[-1].endswith(one)), parts[-1])
    yield f"{parts[0]}/{name}".encode()
    yield f"{parts[0]}/{name.rpartition('-')[0]}".encode()


def _header(folder: Path) -> bytes:
    try:
        with edit.viewed(folder / "Packages") as view:
            return view.header
    except FileNotFoundError:
        return b""


def _count(folder: Path) -> int:
    return pkgindex_entry.number(pkgindex_entry.fields(_header(folder)), "PACKAGES")
