# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards: a file for each package name with all its entries, in the order of ``Packages``, with our keys.

``gm-index/names`` lists the shards, each with its first version and its digests. It is a log: a later line of a name
overrides an earlier one. It is written again if another program has written ``Packages``, or if its size has doubled.
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
    """A shard."""

    name: str
    first: str
    """The first cpv in the order of ``Packages``, which is that of bytes; ``-`` if the shard was removed."""
    plain: str
    """CRC-32 of its entries as in ``Packages``, in hex."""
    digest: str
    """SHA-256 of the shard, in hex; ``-`` if it was removed."""
    size: int
    """Size of the shard in bytes."""


def removed_row(name: str) -> Row:
    """Return the row of a shard that was removed."""
    return Row(name, "-", "-", "-", 0)


def format_rows(rows: Iterable[Row]) -> str:
    """Format rows as lines."""
    return "".join(f"{' '.join(map(str, row))}\n" for row in rows)


def parse_rows(text: str) -> dict[str, Row]:
    """Parse rows: name -> its last row, in the order of ``Packages``.

    Raises:
        BadIndex: the text is incomplete, or not valid.
    """
    head, *lines = text.split("\n")
    if head != _FIRST_OF_ROWS or (lines and lines[-1]):
        raise BadIndex("names", "it is incomplete, or has another version")
    try:
        rows = {row.name: row for row in map(_row, lines[:-1])}
    except ValueError as error:
        raise BadIndex("names", "a line does not have five fields") from error
    return {row.name: row for row in sorted(rows.values(), key=lambda row: row.first.encode()) if row.digest != "-"}


def _row(line: str) -> Row:
    name, first, plain, digest, size = line.split(" ")
    return Row(name, first, plain, digest, int(size))


def read(folder: Path) -> dict[str, Row]:
    """Load the rows of a directory of packages.

    Raises:
        BadIndex: the file is damaged.
        OSError: it cannot be read.
    """
    try:
        return parse_rows(_file(folder).read_text(encoding="utf-8"))
    except (BadIndex, UnicodeDecodeError) as error:
        why = getattr(error, "why", "it is not a text")
        raise BadIndex(str(_file(folder)), why, hint=stamp.rebuild_hint(folder)) from error


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Write the file with only these rows."""
    fs.write(_file(folder), f"{_FIRST_OF_ROWS}\n{format_rows(rows)}", durable=False)


def add(folder: Path, rows: Iterable[Row]) -> None:
    """Append rows in one step.

    Raises:
        OSError: the file does not exist.
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
    """Return the path of the shard of ``cat/pkg``."""
    return folder / FOLDER / "by-name" / name


def packed(entries: Iterable[bytes]) -> bytes:
    """Format a shard: the first line has its version and the CRC-32 of the rest."""
    body = b"".join(entries)
    return _FIRST % zlib.crc32(body) + body


def unpacked(shard: bytes, where: str = "a shard") -> bytes:
    """Return the body of a shard.

    Raises:
        BadIndex: it is damaged, or has another version.
    """
    body = shard[_LENGTH:]
    if shard[:_LENGTH] != _FIRST % zlib.crc32(body):
        raise entry.BadIndex(where, "it is damaged or has another version")
    return body


def body(folder: Path, name: str) -> bytes:
    """Return the entries of ``cat/pkg``; may be empty.

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
        raise entry.BadIndex(str(where), error.why, hint=stamp.rebuild_hint(folder)) from error


def entries(folder: Path, name: str) -> list[bytes]:
    """Return the list of entries of ``cat/pkg``; raises as ``body`` does."""
    return list(entry.each(body(folder, name)))


def crc(entries: Iterable[bytes]) -> str:
    """Return the CRC-32 of entries as in ``Packages``, in hex."""
    return f"{zlib.crc32(b''.join(map(entry.plain, entries))):08x}"


def write(folder: Path, name: str, entries: Sequence[bytes]) -> Row:
    """Write a shard, or remove it if it has no entries; return its row."""
    target = file(folder, name)
    if not entries:
        target.unlink(missing_ok=True)
        return removed_row(name)
    content = packed(entries)
    fs.write(target, content, durable=False)
    first = entry.cpv(entries[0]).decode("utf-8", "replace")
    return Row(name, first, crc(entries), hashlib.sha256(content).hexdigest(), len(content))
