# SPDX-License-Identifier: GPL-2.0-or-later
"""Read a fetched index of a binhost by name, with a binary search in the sorted file.

Each new index is checked once: whether it is sorted, and whether Portage and we parse the same entries. The result is
stored in ``Packages.names`` and is valid only for that file. A query then reads some parts of the index itself, so that
only the index that was verified can answer.
"""

import json
import mmap
import os
import re
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs, stored
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.pkgindex import stamp
from gentoomuch_portage.pkgindex.entry import BadIndex

Split = Callable[[str], str]
"""Returns ``cat/pkg`` of a cpv as Portage does; empty if it is not valid."""
_FIRST = b"gentoomuch-ordered 1 %08x\n"
_LENGTH = len(_FIRST % 0)
_NEAR = 4096
"""Bytes before and after an offset that are read first; most entries are shorter."""
_LINES = rb"(?:(?!CPV:|PATH:)[^\n]+\n)*"
_ENTRY = re.compile(rb"%bCPV: ([^\n]+)\n%bPATH: [^\n]+\.gpkg\.tar\n%b\n" % (_LINES, _LINES, _LINES))
"""An entry with one CPV and one PATH, and without empty lines."""


class SortedIndex:
    """A sorted index. It stays open, so it does not change if the file is replaced."""

    def __init__(self, number: int, names: Path) -> None:
        """Use the descriptor of an index that was checked.

        Raises:
            OSError: it cannot be read.
            BadIndex: it has no header.
        """
        self._number, self._names = number, names
        self._seen = stamp.identity(os.fstat(number))
        weakref.finalize(self, os.close, number)
        head, reach = b"", _NEAR
        while (end := head.find(b"\n\n")) < 0:
            if len(head) >= self._size:
                raise BadIndex(str(names), "the index has no header")
            head, reach = os.pread(number, reach, 0), reach * 4
        self.header = head[: end + 2]
        """With its empty line."""

    def of_name(self, name: str) -> bytes:
        """Return the entries of ``cat/pkg``, and of names that start with it and a digit.

        Raises:
            OSError, BadIndex: it cannot be read.
        """
        self._same()
        low = self._first(f"{name}-0".encode())
        return self._part(low, self._first(f"{name}-:".encode(), low))

    def entries(self) -> bytes:
        """Return all entries; raises as ``of_name`` does."""
        self._same()
        return self._part(len(self.header), self._size)

    def names(self) -> list[str]:
        """Return all names, in the order of their first entries.

        Raises:
            OSError: they cannot be read.
            BadIndex: they are damaged, or belong to another index.
        """
        result = _read(self._names, whole=True)
        if result is None or result["packages"] != self._seen:
            raise BadIndex(str(self._names), "it is damaged, or belongs to another index")
        return list(result["names"])

    @property
    def _size(self) -> int:
        return self._seen[0]

    def _first(self, cpv: bytes, low: int = 0) -> int:
        """Return the offset of the first entry whose cpv is not lower."""
        low, high = low or len(self.header), self._size
        while low < high:
            start, entry = self._around((low + high) // 2)
            if pkgindex_entry.cpv(entry) < cpv:
                low = start + len(entry)
            else:
                high = start
        return low

    def _around(self, place: int) -> tuple[int, bytes]:
        """Return start and text of the entry that contains a byte."""
        reach = _NEAR
        while True:
            low, high = max(len(self.header), place - reach), min(self._size, place + reach)
            part = self._part(low, high)
            start = part.rfind(b"\n\n", 0, place - low) + 2
            end = part.find(b"\n\n", max(start, place - low - 1)) + 2
            if (start > 1 or low == len(self.header)) and end > 1:
                start = start if start > 1 else 0
                return low + start, part[start:end]
            if low == len(self.header) and high == self._size:
                raise BadIndex(str(self._names), "the index is incomplete")
            reach *= 4

    def _part(self, start: int, end: int) -> bytes:
        part = os.pread(self._number, end - start, start)
        if len(part) != end - start:
            raise BadIndex(str(self._names), "the index is incomplete")
        return part

    def _same(self) -> None:
        """Check that the descriptor is of the same unchanged file; ctime changes when its last name is removed."""
        size, mtime, _, inode = stamp.identity(os.fstat(self._number))
        if [size, mtime, inode] != [self._seen[at] for at in (0, 1, 3)]:
            raise BadIndex(str(self._names), "the index is not the one that was opened")


def open_sorted(place: Path, split: Split, *, accepted: bool) -> SortedIndex | None:
    """Open an index that can be read by name; return None if Portage has to read all of it.

    Args:
        place: the ``Packages`` file.
        accepted: whether it has just been verified; only then a new index is checked.
    """
    names = place.with_name("Packages.names")
    try:
        number = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    known = False
    try:
        seen, result = stamp.identity(os.fstat(number)), _read(names)
        if (result is None or result["packages"] != seen) and accepted:
            result = _check(number, seen, split)
            _write(names, result)
        known = result is not None and result["packages"] == seen and not result["odd"]
        return SortedIndex(os.dup(number), names) if known else None
    except (OSError, BadIndex, NoPrivilege):
        return None
    finally:
        os.close(number)


def _check(number: int, seen: list[int], split: Split) -> dict[str, Any]:
    """Check an index; return its names, or why it cannot be read by name."""
    names: dict[str, None] = {}
    odd = ""
    try:
        with mmap.mmap(number, seen[0], prot=mmap.PROT_READ) as data:
            for cpv in _cpvs(data):
                name = split(cpv)
                if not (cpv.startswith(f"{name}-") and cpv[len(name) + 1 : len(name) + 2].isdigit()):
                    raise BadIndex("Packages", f"{cpv!r} has no version")
                names[name] = None
    except (BadIndex, ValueError) as error:  # mmap raises ValueError for an empty file
        odd = str(error)
    return {"packages": seen, "odd": odd, "names": [] if odd else [*names]}


def _cpvs(data: mmap.mmap) -> Iterator[str]:
    """Yield the cpv of each entry.

    Raises:
        BadIndex: Portage may parse it in another way, or warn. Source: PackageIndex.readBody, which stops at a second
            empty line, splits lines at carriage returns, and uses the last line of a key; _populate_remote_repo, which
            warns of packages that are not gpkg.
    """
    at, last = data.find(b"\n\n") + 2, b""
    if at < 3 or data[:1] == b"\n" or data.find(b"\r") >= 0:
        raise BadIndex("Packages", "it has no header, or carriage returns")
    while at < len(data):
        match = _ENTRY.match(data, at)
        if match is None:
            raise BadIndex("Packages", f"an entry has another form: {data[at : at + 60]!r}")
        cpv = match[1]
        if cpv < last or not cpv.isascii():
            raise BadIndex("Packages", f"it is not sorted by CPV at {cpv!r}")
        yield cpv.decode()
        at, last = match.end(), cpv


def _read(names: Path, *, whole: bool = False) -> dict[str, Any] | None:
    """Load the stored result of ``_check``; None if it is damaged.

    Args:
        whole: load the names as well.
    """
    try:
        with stored.open_regular(names) as file:
            first, head = file.read(_LENGTH), file.readline()
            rest = file.read() if whole else b""
        result = json.loads(head)
        if first != _FIRST % zlib.crc32(head) or (whole and zlib.crc32(rest) != result["crc"]):
            return None
    except (OSError, *stored.DAMAGED):
        return None
    return {**result, "names": rest.decode().split("\n")[:-1]}


def _write(names: Path, result: dict[str, Any]) -> None:
    rest = "".join(f"{name}\n" for name in result["names"]).encode()
    head = json.dumps({"packages": result["packages"], "odd": result["odd"], "crc": zlib.crc32(rest)}).encode() + b"\n"
    fs.write_cache(names, _FIRST % zlib.crc32(head) + head + rest, durable=False)
