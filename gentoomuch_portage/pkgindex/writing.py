"""Put a changed index in its place: ``Packages``, ``Packages.gz``, the shards, their names, the stamp, in this order.

``Packages`` is what everybody reads, so it comes first; until the stamp names it, our readers take it and no shards.
Whoever calls holds Portage's lock of the index. Killed anywhere, a whole ``Packages`` is there, and the
shards are those of it or are not used.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.pkgindex import gzipped, names, shards, splice, stamp, stanza
from gentoomuch_portage.pkgindex.aside import freeing, written_out
from gentoomuch_portage.pkgindex.fresh import NEW, Fresh, fresh
from gentoomuch_portage.pkgindex.names import Row
from gentoomuch_portage.pkgindex.splice import Edit, View
from gentoomuch_portage.pkgindex.stamp import Stamp

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
        raise stanza.BadIndex(str(folder), "its index is not up to date")
    drop = list(drop)
    shelved = {shards.file(folder, stanza.name(cpv)) for cpv in (*(cpv for cpv, _ in drop), *map(stanza.cpv, add))}
    with freeing(folder / "Packages", folder / "Packages.gz", *islice(shelved, _HELD)):
        with splice.viewed(folder / "Packages") as view:
            changes = splice.edits(view, drop, add)
            members = _files(folder, view, header, changes, before, compress=compress)
        names.add(folder, _shards(folder, drop, add))
        files.write(folder / stamp.FOLDER / "header", header, durable=False)
        stamp.write(folder, members)


def rewrite(folder: Path, header: bytes, entries: Iterable[bytes], *, compress: bool) -> list[list[int]]:
    """Write all of ``Packages`` anew, sorted, and ``Packages.gz``; what to call ``follow`` with next."""
    ordered = sorted(entries, key=stanza.cpv)
    text = header + b"".join(ordered)
    target = folder / "Packages"
    view = View(text, len(header))
    with fresh(target, header) as plain:
        splice.put(plain.number, text)
        plain.take_place()
    if not compress:
        return _without(target)
    with _compressed(target, view, header, [], []) as (packed, members):
        packed.take_place()
    return members


def compress(folder: Path) -> list[list[int]]:
    """Write ``Packages.gz`` of the ``Packages`` that is there; what to call ``follow`` with next."""
    target = folder / "Packages"
    with splice.viewed(target) as view, _compressed(target, view, view.header, [], []) as (packed, members):
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
    with splice.viewed(folder / "Packages") as view:
        header, found = view.header, [*stanza.each(view.data[view.body :])]
    cpvs = [stanza.cpv(one) for one in found]
    if any(one > other for one, other in pairwise(cpvs)):
        raise stanza.BadIndex(str(folder / "Packages"), "it is not sorted by CPV")
    by_name: dict[str, list[bytes]] = {}
    for cpv, one in zip(cpvs, found, strict=True):
        by_name.setdefault(stanza.name(cpv), []).append(one)
    known, there = _rows(folder), _there(folder)
    rows = [
        _followed(folder, known.get(name) if name in there else None, name, ones, told)
        for name, ones in by_name.items()
    ]
    for gone in there - by_name.keys():
        shards.file(folder, gone).unlink(missing_ok=True)
    names.write(folder, rows)
    files.write(folder / stamp.FOLDER / "header", header, durable=False)
    stamp.write(folder, members or [])


def _swept(folder: Path) -> None:
    """Remove what killed writers left; nobody else writes now."""
    for left in (*folder.glob(f"{NEW}*"), *(folder / stamp.FOLDER).glob("by-name/*/.*")):
        left.unlink(missing_ok=True)


def _followed(folder: Path, row: Row | None, name: str, entries: list[bytes], told: Told) -> Row:
    """The row of a shard, which is written where it is not the one of these entries."""
    if row is not None and row.plain == shards.crc(entries):
        return row
    known = {stanza.plain(one): one for one in _entries(folder, name)}
    full = [known.get(one) or stanza.with_ours(one, stanza.lines(told(stanza.path(one)))) for one in entries]
    return shards.write(folder, name, full)


def _entries(folder: Path, name: str) -> list[bytes]:
    try:
        return shards.entries(folder, name)
    except stanza.BadIndex:
        return []


def _rows(folder: Path) -> dict[str, Row]:
    """What is said of the shards that are there; nothing where a run was killed since."""
    try:
        return names.read(folder)
    except (OSError, stanza.BadIndex):
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
            splice.write, view, source.fileno(), plain.number, header, changes, written
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
        for one in gzipped.members(view, header, changes, old):
            if one.content or one.start != end:
                splice.copy(before.fileno(), packed.number, start, end)  # what stays is copied in one go
                start = one.start
            splice.put(packed.number, one.content)
            end = one.end
            made.append([one.text, len(one.content) or one.end - one.start])
        splice.copy(before.fileno(), packed.number, start, end)
        yield packed, made


def _shards(folder: Path, drop: Iterable[tuple[bytes, str]], add: Mapping[bytes, bytes]) -> list[Row]:
    """Write the shards of the names that change; their rows."""
    gone: dict[str, set[tuple[bytes, str]]] = {}
    for cpv, path in drop:
        gone.setdefault(stanza.name(cpv), set()).add((cpv, path))
    come: dict[str, list[bytes]] = {}
    for one, ours in add.items():
        come.setdefault(stanza.name(stanza.cpv(one)), []).append(stanza.with_ours(one, ours))
    rows = []
    for name in gone | come:
        kept = [one for one in shards.entries(folder, name) if _key(one) not in gone.get(name, ())]
        full = sorted((*kept, *come.get(name, ())), key=stanza.cpv)
        rows.append(shards.write(folder, name, full))
    return rows


def _key(entry: bytes) -> tuple[bytes, str]:
    return stanza.cpv(entry), stanza.path(entry)
