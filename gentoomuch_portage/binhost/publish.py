"""Generations of a published folder: each whole or not there, and one of them current by one rename of a link.

``DIR/objects`` has each content once, ``DIR/generations/NUMBER`` a whole tree of links to them with its index,
``DIR/generations/NUMBER.json`` what is in it, and ``DIR/current`` names the one that clients see. A web server has
``DIR/current`` as its root. What a generation lacks that the one before it had stays in its tree for a grace
period, out of its index: whoever read the index before still finds what he was promised.

Which generations stay, and what lies between two of them.
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

_SECONDS = 6
"""That an index is younger than the one before it. Portage asks a server for what is newer than its own by more than
five (Source: TIMESTAMP_TOLERANCE of portage/util/_urlopen.py)."""
Finish = Callable[[Path], None]
"""Gets a tree that is complete but for what it adds itself, before anybody sees it: signatures."""

Lock = Callable[[], AbstractContextManager[object]]


class NoGeneration(UsageError):
    """There is no such generation, or none to go back to."""

    code = "no-generation"

    def __init__(self, top: Path, asked: int | None, known: list[int]) -> None:
        what = "there is no generation to go back to" if asked is None else f"there is no generation {asked}"
        remedy = "name one that is there" if known else "gentoomuch binhost publish DIR"
        super().__init__(f"{top}: {what} {listed(map(str, known))}", remedy=remedy)
        self.asked, self.known = asked, known


class Generation(NamedTuple):
    """What ``NUMBER.json`` says."""

    number: int
    made: float
    """Seconds since the epoch."""
    shows: int
    """The generation whose index this one has; another where it was rolled back to that."""
    files: dict[str, list[str]]
    """Path -> SHA-256 and mark of the source (its size, mtime in ns and inode), of what is in the index."""
    kept: dict[str, list[str]]
    """Path -> SHA-256 and when it may go, in seconds since the epoch, of what an earlier index promised."""


@contextmanager
def locked(top: Path) -> Iterator[None]:
    """Be the only one that changes what is published there."""
    with fs.locked(top / ".lock"):
        for left in (top / "generations").glob(".*"):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()  # of killed runs
        yield


def numbers(top: Path) -> list[int]:
    """The generations that are there, oldest first."""
    return sorted(int(one.name) for one in (top / "generations").glob("*") if one.name.isdigit())


def current(top: Path) -> int | None:
    """The one that clients see; None where nothing was published, or somebody has removed it."""
    try:
        name = (top / "current").readlink().name
    except OSError:
        return None
    return int(name) if name.isdigit() and (top / "generations" / name).is_dir() else None


def shown(folder: Path | None) -> Path | None:
    """What clients see of a published folder; any other folder as it is."""
    published = folder is not None and current(folder) is not None
    return folder / "current" if folder is not None and published else folder


def holding(folder: Path) -> Path | None:
    """The published folder that a folder is, or is a generation of; None for any other, which may be changed."""
    here = folder.resolve()
    tops = (here, here.parent.parent) if here.parent.name == "generations" else (here,)
    return next((one for one in tops if current(one) is not None), None)


def read(top: Path, number: int) -> Generation:
    """What is in a generation.

    Raises:
        NoGeneration: there is none of that number.
        BadFile: what is said of it cannot be read.
    """
    if number not in (known := numbers(top)):
        raise NoGeneration(top, number, known)
    place = top / "generations" / f"{number}.json"
    try:
        return Generation(**json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        remedy = f"rm -r {place.with_suffix('')} {place}, and gentoomuch binhost publish {top}"
        raise BadFile(place, 0, "it does not tell what that generation has", remedy=remedy) from error


def publish(source: Path, top: Path, *, grace: float, finish: Finish, lock: Lock) -> Generation:
    """Make what lies in a folder of packages the current generation; the one there is where nothing changed.

    Args:
        source: its index is up to date.
        grace: seconds for which what goes out of the index can still be fetched.
        lock: makes a context manager in which nobody writes the index of the source.

    Raises:
        NotAsIndexed: a package is another one than the index says.
    """
    before = _before(top)
    with _tree(top) as tree:
        with lock():
            _index(source, tree)
        found = _objects(source, top, tree, before)
        if before is not None and digests(found) == digests(before.files) and _same(top, tree):
            return before
        return _completed(top, tree, found, before, shows=0, grace=grace, finish=finish)


def rollback(top: Path, number: int | None, *, grace: float, finish: Finish) -> Generation:
    """Make a new generation that shows what an earlier one shows.

    A new one, for clients take an index only if it is younger than theirs (Source: binarytree._populate_remote).

    Args:
        number: None for the one before what is shown now.

    Raises:
        NoGeneration: there is none of that number, or none before.
    """
    before = _before(top)
    known = numbers(top)
    if number is None:
        number = max((one for one in known if before and one < before.shows), default=None)
    if number is None or before is None:
        raise NoGeneration(top, None, known)
    wanted = read(top, number)
    with _tree(top) as tree:
        _index(top / "generations" / str(number), tree)
        return _completed(top, tree, wanted.files, before, shows=wanted.shows, grace=grace, finish=finish)


def _before(top: Path) -> Generation | None:
    here = current(top)
    return None if here is None else read(top, here)


def digests(found: dict[str, list[str]]) -> dict[str, str]:
    """Path -> SHA-256."""
    return {path: told[0] for path, told in found.items()}


def _same(top: Path, tree: Path) -> bool:
    """Whether the entries of the index are those that are shown now."""
    with edit.viewed(tree / "Packages") as view, edit.viewed(top / "current/Packages") as other:
        return view.data[view.body :] == other.data[other.body :]


@contextmanager
def _tree(top: Path) -> Iterator[Path]:
    with fs.fresh_folder(fs.ensure(top / "generations")) as tree:
        yield tree


def _index(source: Path, tree: Path) -> None:
    """The index of a folder, in a tree: ``Packages`` copied, shards linked, for they are replaced and never changed."""
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


def _objects(source: Path, top: Path, tree: Path, before: Generation | None) -> dict[str, list[str]]:
    """Keep the content of all packages of an index; path -> SHA-256 and mark."""
    known = before.files if before else {}
    with edit.viewed(tree / "Packages") as view:
        entries = [pkgindex_entry.fields(one) for one in pkgindex_entry.each(view.data[view.body :])]
    found = {}
    for entry in entries:
        path = entry.get("PATH") or f"{entry['CPV']}.tbz2"
        if re.search(r"(^|/)\.\.?(/|$)|^/", path):
            raise object_store.NotAsIndexed(path, "it lies outside of its folder")
        mark = _mark(source / path)
        held = known.get(path)
        if held and held[1] == mark and object_store.place(top, held[0]).exists():
            found[path] = held
        else:
            found[path] = [object_store.put(top, source / path, path, entry), mark]
    return found


def _mark(file: Path) -> str:
    try:
        seen = file.stat()
    except FileNotFoundError:
        return "gone"
    return f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ino}"


def _completed(
    top: Path,
    tree: Path,
    found: dict[str, list[str]],
    before: Generation | None,
    *,
    shows: int,
    grace: float,
    finish: Finish,
) -> Generation:
    """Link the packages into a tree, name it, and let clients see it."""
    number = max(numbers(top), default=0) + 1
    made = Generation(number, time.time(), shows or number, found, _kept(before, found, grace))
    for path, (digest, _) in (found | made.kept).items():
        object_store.link(top, digest, tree / path)
    _younger(tree, top / "current/Packages")
    finish(tree)
    fs.write(top / "generations" / f"{number}.json", json.dumps(made._asdict()))
    tree.rename(top / "generations" / str(number))
    fresh = top / "generations/.current"
    fresh.symlink_to(f"generations/{number}")
    fresh.replace(top / "current")
    return made


def _kept(before: Generation | None, found: dict[str, list[str]], grace: float) -> dict[str, list[str]]:
    """What earlier indexes promised, and is not in this one."""
    if before is None:
        return {}
    now = time.time()
    left = {path: told for path, told in before.kept.items() if float(told[1]) > now}
    new = {path: [told[0], str(int(now + grace))] for path, told in before.files.items()}
    return {path: told for path, told in (left | new).items() if path not in found}


def _younger(tree: Path, shown: Path) -> None:
    """See to it that the index of a tree is younger than the one that clients may have, and stamp it."""
    write.follow(tree, lambda _path: {})
    with edit.viewed(tree / "Packages") as view:
        header = view.header
    mine = _timestamp(header)
    theirs = _timestamp(_header(shown))
    moment = max(mine, theirs + _SECONDS)
    changed = re.sub(rb"(?m)^TIMESTAMP: \d+$", f"TIMESTAMP: {moment}".encode(), header)
    write.change(tree, changed, (), {}, compress=True)


def _header(file: Path) -> bytes:
    try:
        with edit.viewed(file) as view:
            return view.header
    except OSError:
        return b""


def _timestamp(header: bytes) -> int:
    return pkgindex_entry.number(pkgindex_entry.fields(header), "TIMESTAMP")


def difference(top: Path, one: int, other: int) -> list[dict[str, str]]:
    """What came, went and changed from one generation to another, by path.

    Returns:
        Rows with ``change`` (``new``, ``gone`` or ``changed``), ``path`` and ``sha256``, of what is there afterwards.

    Raises:
        NoGeneration: there is none of such a number.
    """
    before, after = digests(read(top, one).files), digests(read(top, other).files)
    rows = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            change = "gone" if path not in after else "new" if path not in before else "changed"
            rows.append({"change": change, "path": path, "sha256": after.get(path) or before[path]})
    return rows


def retained(top: Path, *, keep: int, days: float, grace: float) -> list[int]:
    """Remove generations that are neither among the newest nor young, nor were current a short while ago.

    Args:
        keep: so many stay, the current one among them.
        days: younger ones stay.
        grace: seconds since another took its place.

    Returns:
        The numbers that went.
    """
    now, known, here = time.time(), numbers(top), current(top)
    made = {number: read(top, number).made for number in known}
    left = {number: made[following] for number, following in pairwise(known)}
    old = [one for one in known[: max(0, len(known) - keep)] if one != here and now - made[one] > days * 86400]
    gone = [one for one in old if now - left.get(one, now) > grace]
    for number in gone:
        away = top / "generations" / f".{number}"
        (top / "generations" / str(number)).rename(away)
        (top / "generations" / f"{number}.json").unlink(missing_ok=True)
        shutil.rmtree(away)
    if gone:
        object_store.sweep(top)
    return gone
