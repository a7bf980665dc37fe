"""``gm-index/names``: which shards there are, each with its first version and its digests.

A log: a later line of a name takes the place of an earlier one, and a package more is a line more. All of it is
written anew when Portage or somebody else wrote ``Packages``, and when it has grown to twice its size.

One file for each package name: all its entries, in the order of ``Packages``, with our keys.
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.pkgindex import entry, stamp
from gentoomuch_portage.pkgindex.entry import BadIndex
from gentoomuch_portage.pkgindex.stamp import FOLDER

_FIRST_OF_ROWS = "gentoomuch-names 1"


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


def format_rows(rows: Iterable[Row]) -> str:
    """Rows as lines."""
    return "".join(f"{' '.join(map(str, row))}\n" for row in rows)


def parse_rows(text: str) -> dict[str, Row]:
    """The rows that count, by name, in the order in which ``Packages`` has them.

    Raises:
        BadIndex: it is something else, or cut off.
    """
    head, *lines = text.split("\n")
    if head != _FIRST_OF_ROWS or (lines and lines[-1]):
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
        return parse_rows(_file(folder).read_text(encoding="utf-8"))
    except (BadIndex, UnicodeDecodeError) as error:
        why = getattr(error, "why", "it is no text")
        raise BadIndex(str(_file(folder)), why, remedy=stamp.anew(folder)) from error


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Put the file in its place, with these rows alone."""
    fs.write(_file(folder), f"{_FIRST_OF_ROWS}\n{format_rows(rows)}", durable=False)


def add(folder: Path, rows: Iterable[Row]) -> None:
    """Append rows in one step.

    Raises:
        OSError: the file is not there.
    """
    number = os.open(_file(folder), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(number, format_rows(rows).encode())
    finally:
        os.close(number)


def _file(folder: Path) -> Path:
    return folder / FOLDER / "names"


_FIRST = b"gentoomuch-shard 1 %08x\n"
_LENGTH = len(_FIRST % 0)


def file(folder: Path, name: str) -> Path:
    """Where the shard of ``cat/pkg`` lies."""
    return folder / FOLDER / "by-name" / name


def packed(entries: Iterable[bytes]) -> bytes:
    """A shard: its first line says its version and the CRC-32 of what follows."""
    body = b"".join(entries)
    return _FIRST % zlib.crc32(body) + body


def unpacked(shard: bytes, where: str = "a shard") -> bytes:
    """The entries of a shard, one after the other.

    Raises:
        BadIndex: it is damaged, or of another version.
    """
    body = shard[_LENGTH:]
    if shard[:_LENGTH] != _FIRST % zlib.crc32(body):
        raise entry.BadIndex(where, "it is damaged or of another version")
    return body


def body(folder: Path, name: str) -> bytes:
    """The entries of ``cat/pkg``; empty where there are none.

    Raises:
        BadIndex: the file is damaged.
        OSError: it cannot be read.
    """
    where = file(folder, name)
    try:
        return unpacked(where.read_bytes(), str(where))
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except entry.BadIndex as error:
        raise entry.BadIndex(str(where), error.why, remedy=stamp.anew(folder)) from error


def entries(folder: Path, name: str) -> list[bytes]:
    """The entries of ``cat/pkg`` one by one; raises as ``body`` does."""
    return list(entry.each(body(folder, name)))


def crc(entries: Iterable[bytes]) -> str:
    """CRC-32 of entries as they stand in ``Packages``, in hex."""
    return f"{zlib.crc32(b''.join(map(entry.plain, entries))):08x}"


def write(folder: Path, name: str, entries: Sequence[bytes]) -> Row:
    """Put a shard in its place, or remove it where nothing is in it; its row among the names."""
    target = file(folder, name)
    if not entries:
        target.unlink(missing_ok=True)
        return gone(name)
    content = packed(entries)
    fs.write(target, content, durable=False)
    first = entry.cpv(entries[0]).decode("utf-8", "replace")
    return Row(name, first, crc(entries), hashlib.sha256(content).hexdigest(), len(content))
