# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the members of a tar archive that may be hostile: only regular files, with checked names and sizes.

Only what GLEP 78 allows is read: POSIX ustar, and of GNU's extensions long names and large sizes. Python's
tarfile would follow links, sparse maps and nested extended headers of any length.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from gentoomuch_portage.binpkg.source import MAX_MEMBERS, Source
from gentoomuch_portage.errors import GmError

BLOCK = 512
_TYPES = {
    "1": "a hard link", "2": "a link", "3": "a device", "4": "a device", "5": "a directory", "6": "a pipe",
    "S": "a sparse file", "x": "an extended header", "g": "an extended header", "K": "a long link",
}  # fmt: skip
_MAX_NAME = 4096

Bad = Callable[[str], GmError]


class Tape(Protocol):
    """Bytes that are read from beginning to end."""

    place: int
    """Bytes read or skipped so far."""

    def take(self, length: int) -> bytes:
        """Return exactly the next bytes."""
        ...

    def skip(self, length: int) -> None:
        """Skip the next bytes."""
        ...


class Section:
    """A part of a source as a tape; skipping reads nothing."""

    def __init__(self, source: Source, start: int, size: int) -> None:
        self.place, self.size = 0, size
        self._source, self._start = source, start

    def take(self, length: int) -> bytes:
        """Return exactly the next bytes."""
        if self.place + length > self.size:
            raise self._source.bad("it is truncated")
        upto = self._start + self.size if self.size < self._source.size else 0
        content = self._source.at(self._start + self.place, length, upto=upto)
        self.place += length
        return content

    def skip(self, length: int) -> None:
        """Skip the next bytes."""
        self.place += length

    def rest(self) -> int:
        """Return the number of bytes left."""
        return self.size - self.place


def read_members(tape: Tape, bad: Bad, *, most: int = MAX_MEMBERS) -> Iterator[tuple[str, int]]:
    """Yield name and size of each regular file; its content is next on the tape, and may be taken.

    Args:
        most: maximum number of files.

    Raises:
        GmError: made by ``bad``, for a member that is not a regular file with a valid and unique name.
    """
    seen: set[str] = set()
    long = ""
    for _ in range(most):
        header = tape.take(BLOCK)
        if not any(header):
            return
        name, size, type_flag = _parse_header(header, bad)
        start = tape.place
        if type_flag == "L" and not long and 0 < size <= _MAX_NAME:
            long = _text(tape.take(size), bad)
        elif type_flag != "0":
            raise bad(f"it contains {_TYPES.get(type_flag, 'something else than regular files')}")
        else:
            name, long = long or name, ""
            _check_name(name, seen, bad)
            yield name, size
        tape.skip(start + size + -size % BLOCK - tape.place)
    raise bad(f"it contains more than {most} files")


def _parse_header(header: bytes, bad: Bad) -> tuple[str, int, str]:
    """Parse a header: name, size and type flag. Source: POSIX.1, "ustar Interchange Format"."""
    checksum = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _octal(header[148:156]) != checksum:
        raise bad("not a tar archive, or a damaged one")
    name = _text(header[:100], bad)
    if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500], bad)):
        name = f"{prefix}/{name}"
    type_flag = header[156:157].decode("latin-1")
    return name, _size(header[124:136], bad), "0" if type_flag in {"\0", "7"} else type_flag


def _size(field: bytes, bad: Bad) -> int:
    if field[0] == 0x80:  # GNU's encoding for 8 GiB and more
        return int.from_bytes(field[1:], "big")
    size = _octal(field)
    if size is None:
        raise bad("it has an invalid size")
    return size


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not set(digits) - set(b"01234567") else None


def _text(field: bytes, bad: Bad) -> str:
    try:
        return field.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError:
        raise bad("it has a name that is not UTF-8") from None


def _check_name(name: str, seen: set[str], bad: Bad) -> None:
    if not name.isprintable() or {"", ".", ".."} & set(name.split("/")):
        raise bad(f"it contains a file named {name[:60]!r}")
    if name in seen:
        raise bad(f"it contains {name[:60]!r} twice")
    seen.add(name)
