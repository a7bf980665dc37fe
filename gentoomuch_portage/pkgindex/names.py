"""``gm-index/names``: which shards there are, each with its first version and its digests.

A log: a later line of a name takes the place of an earlier one, and a package more is a line more. All of it is
written anew when Portage or somebody else wrote ``Packages``, and when it has grown to twice its size.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import files
from gentoomuch_portage.pkgindex import stamp
from gentoomuch_portage.pkgindex.stamp import FOLDER
from gentoomuch_portage.pkgindex.stanza import BadIndex

_FIRST = "gentoomuch-names 1"


class Row(NamedTuple):
    """One shard."""

    name: str
    first: str
    """The lowest cpv in the order of ``Packages``, which is that of their bytes; ``-`` where the shard is gone."""
    plain: str
    """CRC-32 of its entries as they stand in ``Packages``, in hex."""
    digest: str
    """SHA-256 of the shard, in hex; ``-`` where it is gone."""
    size: int
    """Bytes of the shard."""


def gone(name: str) -> Row:
    """The row that says that a shard is there no more."""
    return Row(name, "-", "-", "-", 0)


def packed(rows: Iterable[Row]) -> str:
    """Rows as lines."""
    return "".join(f"{' '.join(map(str, row))}\n" for row in rows)


def unpacked(text: str) -> dict[str, Row]:
    """The rows that count, by name, in the order in which ``Packages`` has them.

    Raises:
        BadIndex: it is something else, or cut off.
    """
    head, *lines = text.split("\n")
    if head != _FIRST or (lines and lines[-1]):
        raise BadIndex("names", "it is cut off, or of another version")
    try:
        found = {row.name: row for row in map(_row, lines[:-1])}
    except ValueError as error:
        raise BadIndex("names", "a line has not five words") from error
    return {row.name: row for row in sorted(found.values(), key=lambda row: row.first.encode()) if row.digest != "-"}


def _row(line: str) -> Row:
    name, first, plain, digest, size = line.split(" ")
    return Row(name, first, plain, digest, int(size))


def read(folder: Path) -> dict[str, Row]:
    """The rows of a folder.

    Raises:
        BadIndex: the file is damaged.
        OSError: it cannot be read.
    """
    try:
        return unpacked(_file(folder).read_text(encoding="utf-8"))
    except (BadIndex, UnicodeDecodeError) as error:
        why = getattr(error, "why", "it is no text")
        raise BadIndex(str(_file(folder)), why, remedy=stamp.anew(folder)) from error


def write(folder: Path, rows: Iterable[Row]) -> None:
    """Put the file in its place, with these rows alone."""
    files.write(_file(folder), f"{_FIRST}\n{packed(rows)}", durable=False)


def add(folder: Path, rows: Iterable[Row]) -> None:
    """Append rows in one step.

    Raises:
        OSError: the file is not there.
    """
    number = os.open(_file(folder), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(number, packed(rows).encode())
    finally:
        os.close(number)


def _file(folder: Path) -> Path:
    return folder / FOLDER / "names"
