"""The index of a binhost as it was fetched, looked into by name: no shards, for the file itself is sorted.

Once for each index that comes, all of it is looked at: whether it is sorted, and written so that Portage and we see the
same entries in it. What was found stands beside it in ``Packages.names``, for that very file alone. Whoever asks for a
name then reads a dozen pieces of the file, so nothing but the index that was verified can ever answer.
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

from gentoomuch_portage import fs
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.pkgindex import stamp
from gentoomuch_portage.pkgindex.entry import BadIndex

Split = Callable[[str], str]
"""``cat/pkg`` of a cpv, as Portage splits it; empty where it takes none for it."""
_FIRST = b"gentoomuch-ordered 1 %08x\n"
_LENGTH = len(_FIRST % 0)
_NEAR = 4096
"""Bytes on each side of a place that are read first; most entries are shorter."""
_LINES = rb"(?:(?!CPV:|PATH:)[^\n]+\n)*"
_ENTRY = re.compile(rb"%bCPV: ([^\n]+)\n%bPATH: [^\n]+\.gpkg\.tar\n%b\n" % (_LINES, _LINES, _LINES))
"""An entry with one CPV and one PATH, and nothing that may end it early."""


class Ordered:
    """A sorted index. It is held open, so it stays what it was, whoever replaces it."""

    def __init__(self, number: int, names: Path) -> None:
        """Take over a descriptor of an index that was looked at.

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
        """The entries of ``cat/pkg`` and of few others: those whose cpv begins so, and goes on with a digit.

        Raises:
            OSError, BadIndex: it cannot be read.
        """
        self._same()
        low = self._first(f"{name}-0".encode())
        return self._part(low, self._first(f"{name}-:".encode(), low))

    def entries(self) -> bytes:
        """All entries; raises as ``of_name`` does."""
        self._same()
        return self._part(len(self.header), self._size)

    def names(self) -> list[str]:
        """All names, in the order in which the index begins to tell of them.

        Raises:
            OSError: they cannot be read.
            BadIndex: they are damaged, or those of another index.
        """
        told = _read(self._names, whole=True)
        if told is None or told["packages"] != self._seen:
            raise BadIndex(str(self._names), "it is damaged, or of another index")
        return list(told["names"])

    @property
    def _size(self) -> int:
        return self._seen[0]

    def _first(self, cpv: bytes, low: int = 0) -> int:
        """Where the first entry lies whose cpv is not below this one."""
        low, high = low or len(self.header), self._size
        while low < high:
            start, entry = self._around((low + high) // 2)
            if pkgindex_entry.cpv(entry) < cpv:
                low = start + len(entry)
            else:
                high = start
        return low

    def _around(self, place: int) -> tuple[int, bytes]:
        """The entry that a byte belongs to, and where it begins."""
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
                raise BadIndex(str(self._names), "the index is cut off")
            reach *= 4

    def _part(self, start: int, end: int) -> bytes:
        part = os.pread(self._number, end - start, start)
        if len(part) != end - start:
            raise BadIndex(str(self._names), "the index is cut off")
        return part

    def _same(self) -> None:
        """See to it that the descriptor is still ours, and the file as it was; a ctime changes with its last name."""
        size, mtime, _, inode = stamp.identity(os.fstat(self._number))
        if [size, mtime, inode] != [self._seen[at] for at in (0, 1, 3)]:
            raise BadIndex(str(self._names), "the index is not the one that was opened")


def ordered(place: Path, split: Split, *, accepted: bool) -> Ordered | None:
    """An index that can be looked into by name; None where Portage has to read all of it.

    Args:
        place: of ``Packages``.
        accepted: whether it has just been verified; only then is one looked at that nothing is known of.
    """
    names = place.with_name("Packages.names")
    try:
        number = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    known = False
    try:
        seen, told = stamp.identity(os.fstat(number)), _read(names)
        if (told is None or told["packages"] != seen) and accepted:
            told = _looked_at(number, seen, split)
            _write(names, told)
        known = told is not None and told["packages"] == seen and not told["odd"]
        return Ordered(os.dup(number), names) if known else None
    except (OSError, BadIndex, NoPrivilege):
        return None
    finally:
        os.close(number)


def _looked_at(number: int, seen: list[int], split: Split) -> dict[str, Any]:
    """What is to be known of an index: its names, or what is odd about it."""
    names: dict[str, None] = {}
    odd = ""
    try:
        with mmap.mmap(number, seen[0], prot=mmap.PROT_READ) as data:
            for cpv in _cpvs(data):
                name = split(cpv)
                if not (cpv.startswith(f"{name}-") and cpv[len(name) + 1 : len(name) + 2].isdigit()):
                    raise BadIndex("Packages", f"{cpv!r} has no version")
                names[name] = None
    except (BadIndex, ValueError) as error:  # of mmap: it is empty
        odd = str(error)
    return {"packages": seen, "odd": odd, "names": [] if odd else [*names]}


def _cpvs(data: mmap.mmap) -> Iterator[str]:
    """The cpv of each entry, one after the other.

    Raises:
        BadIndex: something is written so that Portage may see it otherwise, or has something to say of it. Source:
            PackageIndex.readBody, for which an empty line too many is the end, a carriage return the end of a line,
            and the last line of a key counts; _populate_remote_repo, which warns of packages that are no gpkg.
    """
    at, last = data.find(b"\n\n") + 2, b""
    if at < 3 or data[:1] == b"\n" or data.find(b"\r") >= 0:
        raise BadIndex("Packages", "it has no header, or carriage returns")
    while at < len(data):
        found = _ENTRY.match(data, at)
        if found is None:
            raise BadIndex("Packages", f"an entry is written in another way: {data[at : at + 60]!r}")
        cpv = found[1]
        if cpv < last or not cpv.isascii():
            raise BadIndex("Packages", f"it is not sorted by CPV at {cpv!r}")
        yield cpv.decode()
        at, last = found.end(), cpv


def _read(names: Path, *, whole: bool = False) -> dict[str, Any] | None:
    """What stands beside an index: of which one it is, what is odd about it, and its names; None where it is damaged.

    Args:
        whole: read the names, too.
    """
    try:
        with names.open("rb") as file:
            first, head = file.read(_LENGTH), file.readline()
            rest = file.read() if whole else b""
        told = json.loads(head)
        if first != _FIRST % zlib.crc32(head) or (whole and zlib.crc32(rest) != told["crc"]):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**told, "names": rest.decode().split("\n")[:-1]}


def _write(names: Path, told: dict[str, Any]) -> None:
    rest = "".join(f"{name}\n" for name in told["names"]).encode()
    head = json.dumps({"packages": told["packages"], "odd": told["odd"], "crc": zlib.crc32(rest)}).encode() + b"\n"
    fs.write(names, _FIRST % zlib.crc32(head) + head + rest, durable=False)
