# SPDX-License-Identifier: GPL-2.0-or-later
"""Publish generations of a directory; each is complete, and renaming one link makes it current.

``DIR/objects`` has each content once, ``DIR/generations/NUMBER`` a tree of links to them with its index,
``DIR/generations/NUMBER.json`` its description, and ``DIR/current`` links to what clients see. ``DIR/current`` is
the root of a web server. Packages that a generation no longer has stay in its tree for a grace period, outside of
its index: clients that read the index before can still fetch them.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.binhost import object_store
from gentoomuch_portage.errors import BadFile, UsageError, listed
from gentoomuch_portage.pkgindex import edit, shards, stamp, write
from gentoomuch_portage.pkgindex import entry as pkgindex_entry

_DAY = 86400
_SECONDS = 6
"""Minimum seconds between the times of two indexes. Portage asks a server for an index that is newer than its own by
more than five (Source: TIMESTAMP_TOLERANCE of portage/util/_urlopen.py).
"""
Finish = Callable[[Path], None]
"""Called with a complete tree before clients see it; adds signatures."""

Lock = Callable[[], AbstractContextManager[object]]


def no_generation(top: Path, requested: int | None, known: list[int]) -> UsageError:
    """A binhost does not have this generation (published version), or no earlier one."""
    what = "no earlier generation" if requested is None else f"generation {requested} not found"
    error = UsageError(
        f"{top}: {what} {listed(map(str, known))}", code="no-generation", hint=f"gentoomuch binhost publish {top}"
    )
    return error.with_correction(str(requested), str(known[-1])) if known and requested is not None else error


class Generation(NamedTuple):
    """The content of ``NUMBER.json``."""

    number: int
    made: float
    """Seconds since the epoch."""
    shows: int
    """The generation whose index this one has; another one after a rollback."""
    files: dict[str, list[str]]
    """Path -> SHA-256 and mark of the source (size, mtime in ns and inode), of the packages in the index."""
    kept: dict[str, list[str]]
    """Path -> SHA-256 and time of removal (seconds since the epoch), of packages that only earlier indexes have."""


@contextmanager
def locked(top: Path) -> Iterator[None]:
    """Lock a published directory, and remove what killed runs left."""
    with fs.locked(top / ".lock"):
        for leftover in (top / "generations").glob(".*"):
            fs.remove(leftover)
        yield


def list_generations(top: Path) -> list[int]:
    """List the numbers of the generations, oldest first."""
    return sorted(int(path.name) for path in (top / "generations").glob("*") if path.name.isdigit())


def current_generation(top: Path) -> int | None:
    """Return the number of the generation that clients see; None if there is none."""
    try:
        name = (top / "current").readlink().name
    except OSError:
        return None
    return int(name) if name.isdigit() and (top / "generations" / name).is_dir() else None


def published_view(folder: Path | None) -> Path | None:
    """Return what clients see of a published directory; any other directory unchanged."""
    published = folder is not None and current_generation(folder) is not None
    return folder / "current" if folder is not None and published else folder


def find_published(folder: Path) -> Path | None:
    """Return the published directory that a directory is, or belongs to; None if it is not published."""
    folder_path = folder.resolve()
    tops = (folder_path, folder_path.parent.parent) if folder_path.parent.name == "generations" else (folder_path,)
    return next((top for top in tops if current_generation(top) is not None), None)


def read_generation(top: Path, number: int) -> Generation:
    """Read the description of a generation.

    Raises:
        UsageError[no-generation]: it does not exist.
        BadFile: its description cannot be read.
    """
    if number not in (known := list_generations(top)):
        raise no_generation(top, number, known)
    place = top / "generations" / f"{number}.json"
    try:
        return Generation(**json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        hint = f"rm -r {place.with_suffix('')} {place}, then gentoomuch binhost publish {top}"
        raise BadFile(place, 0, "not a description of a generation", hint=hint) from error


def publish(
    source: Path,
    top: Path,
    *,
    grace: float,
    finish: Finish,
    lock: Lock,
    stale: Callable[[Path], bool] = lambda _: False,
) -> Generation:
    """Publish a directory of packages as a new generation; keep the current one if nothing changed.

    Args:
        source: its index must be up to date.
        grace: seconds for which removed packages can still be fetched.
        lock: returns a context manager that locks the index of the source.
        stale: whether the current tree must be signed again although nothing changed, as a new generation with the
            same index.

    Raises:
        NotAsIndexed: a package differs from the index.
    """
    before = _read_current(top)
    with fs.disk_errors(top), _new_tree(top) as tree:
        with lock():
            _copy_index(source, tree)
        packages = _store_packages(source, top, tree, before)
        shows = 0
        if (
            before is not None
            and digests_by_path(packages) == digests_by_path(before.files)
            and _has_current_entries(top, tree)
        ):
            if not stale(top / "current"):
                return before
            shows = before.shows
        return _complete(top, tree, packages, before, shows=shows, grace=grace, finish=finish)


def rollback(top: Path, number: int | None, *, grace: float, finish: Finish) -> Generation:
    """Make a new generation with the index of an earlier one.

    It is a new one because clients accept only a newer index (Source: binarytree._populate_remote).

    Args:
        number: None for the generation before the current index.

    Raises:
        UsageError[no-generation]: it does not exist, or there is no earlier one.
    """
    before = _read_current(top)
    known = list_generations(top)
    if number is None:
        number = max((earlier for earlier in known if before and earlier < before.shows), default=None)
    if number is None or before is None:
        raise no_generation(top, None, known)
    wanted = read_generation(top, number)
    with fs.disk_errors(top), _new_tree(top) as tree:
        _copy_index(top / "generations" / str(number), tree)
        return _complete(top, tree, wanted.files, before, shows=wanted.shows, grace=grace, finish=finish)


def _read_current(top: Path) -> Generation | None:
    number = current_generation(top)
    return None if number is None else read_generation(top, number)


def digests_by_path(packages: dict[str, list[str]]) -> dict[str, str]:
    """Return path -> SHA-256."""
    return {path: row[0] for path, row in packages.items()}


def _has_current_entries(top: Path, tree: Path) -> bool:
    """Check whether an index has the entries of the current one."""
    with edit.open_view(tree / "Packages") as view, edit.open_view(top / "current/Packages") as other:
        return view.data[view.body :] == other.data[other.body :]


@contextmanager
def _new_tree(top: Path) -> Iterator[Path]:
    with fs.fresh_folder(fs.ensure(top / "generations")) as tree:
        yield tree


def _copy_index(source: Path, tree: Path) -> None:
    """Copy the index of a directory into a tree; shards are linked, because they are never changed."""
    shutil.copy2(source / "Packages", tree / "Packages")
    rows = shards.read(source)
    for name in rows:
        target = shards.file(tree, name)
        fs.ensure(target.parent)
        try:
            target.hardlink_to(shards.file(source, name))
        except OSError:
            shutil.copy2(shards.file(source, name), target)
    shards.write_rows(tree, rows.values())
    shutil.copy2(source / stamp.FOLDER / "header", tree / stamp.FOLDER / "header")


def _store_packages(source: Path, top: Path, tree: Path, before: Generation | None) -> dict[str, list[str]]:
    """Store the content of all packages of an index, and return path -> SHA-256 and mark."""
    known = before.files if before else {}
    with edit.open_view(tree / "Packages") as view:
        entries = [pkgindex_entry.fields(entry) for entry in pkgindex_entry.each(view.data[view.body :])]
    packages = {}
    for entry in entries:
        path = entry.get("PATH") or f"{entry['CPV']}.tbz2"
        if re.search(r"(^|/)\.\.?(/|$)|^/", path):
            raise object_store.NotAsIndexed(path, "it is outside of its directory")
        mark = _file_mark(source / path)
        stored = known.get(path)
        if stored and stored[1] == mark and object_store.object_path(top, stored[0]).exists():
            packages[path] = stored
        else:
            packages[path] = [object_store.store(top, source / path, path, entry), mark]
    return packages


def _file_mark(file: Path) -> str:
    try:
        status = file.stat()
    except FileNotFoundError:
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _complete(
    top: Path,
    tree: Path,
    packages: dict[str, list[str]],
    before: Generation | None,
    *,
    shows: int,
    grace: float,
    finish: Finish,
) -> Generation:
    """Link the packages into a tree, number it, and make it current."""
    number = max(list_generations(top), default=0) + 1
    generation = Generation(number, time.time(), shows or number, packages, _keep_removed(before, packages, grace))
    for path, (digest, _) in (packages | generation.kept).items():
        object_store.link(top, digest, tree / path)
    _set_newer_timestamp(tree, top / "current/Packages")
    finish(tree)
    fs.write(top / "generations" / f"{number}.json", json.dumps(generation._asdict()))
    tree.rename(top / "generations" / str(number))
    link = top / "generations/.current"
    link.symlink_to(f"generations/{number}")
    link.replace(top / "current")
    return generation


def _keep_removed(before: Generation | None, packages: dict[str, list[str]], grace: float) -> dict[str, list[str]]:
    """Return the packages that only earlier indexes have, within the grace period."""
    if before is None:
        return {}
    now = time.time()
    kept = {path: row for path, row in before.kept.items() if float(row[1]) > now}
    removed = {path: [row[0], str(int(now + grace))] for path, row in before.files.items()}
    return {path: row for path, row in (kept | removed).items() if path not in packages}


def _set_newer_timestamp(tree: Path, shown: Path) -> None:
    """Set the time of an index to now, or later than that of the current one, and stamp it.

    A current time that is ahead by a day or more came from a wrong clock: clients reject it, so it is ignored.
    """
    write.update_shards(tree, lambda _path: {})
    with edit.open_view(tree / "Packages") as view:
        header = view.header
    now, current_time = int(time.time()), read_timestamp(shown)
    moment = max(now, current_time + _SECONDS) if current_time < now + _DAY else now
    changed = re.sub(rb"(?m)^TIMESTAMP: \d+$", f"TIMESTAMP: {moment}".encode(), header)
    write.change(tree, changed, (), {}, compress=True)


def _read_header(file: Path) -> bytes:
    try:
        with edit.open_view(file) as view:
            return view.header
    except OSError:
        return b""


def read_timestamp(index: Path) -> int:
    """Read the TIMESTAMP of an index; 0 if it has none, or is missing."""
    return pkgindex_entry.number(pkgindex_entry.fields(_read_header(index)), "TIMESTAMP")


def compare_generations(top: Path, earlier: int, later: int) -> list[dict[str, str]]:
    """List what was added, removed and changed from one generation to another, by path.

    Returns:
        Rows with ``change`` (``new``, ``gone`` or ``changed``), ``path``, and ``sha256`` of the later content.

    Raises:
        UsageError[no-generation]: a generation does not exist.
    """
    before, after = (
        digests_by_path(read_generation(top, earlier).files),
        digests_by_path(read_generation(top, later).files),
    )
    rows = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            change = "gone" if path not in after else "new" if path not in before else "changed"
            rows.append({"change": change, "path": path, "sha256": after.get(path) or before[path]})
    return rows


def prune(top: Path, *, keep: int, days: float, grace: float) -> list[int]:
    """Remove generations that are neither recent in number or age, nor were current within the grace period.

    Of generations with the same index, signed again, only the last one stays.

    Args:
        keep: number of generations that stay, the current one included.
        days: newer ones stay.
        grace: seconds since another generation became current.

    Returns:
        The numbers of the removed generations.
    """
    now, known, current = time.time(), list_generations(top), current_generation(top)
    made_at = {number: read_generation(top, number).made for number in known}
    replaced_at = {number: made_at[following] for number, following in pairwise(known)}
    signed_again = {
        number
        for number, following in pairwise(known)
        if read_generation(top, number).shows == read_generation(top, following).shows
    }
    distinct = [number for number in known if number not in signed_again]
    old = [number for number in distinct[: max(0, len(distinct) - keep)] if now - made_at[number] > days * _DAY]
    expired = {number for number, moment in replaced_at.items() if now - moment > grace}
    removed = sorted(({*old, *signed_again} & expired) - {current})
    for number in removed:
        trash = top / "generations" / f".{number}"
        (top / "generations" / str(number)).rename(trash)
        (top / "generations" / f"{number}.json").unlink(missing_ok=True)
        fs.remove(trash)
    if removed:
        object_store.remove_unreferenced(top)
    return removed
