"""The members of a tar archive that may be hostile: plain files alone, names and sizes checked.

Only what GLEP 78 allows is read: POSIX ustar, and of GNU's extensions long names and large sizes. Python's
tarfile would follow links, sparse maps and nested extended headers of any length.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from gentoomuch_portage.binpkg.source import MOST_MEMBERS, Source
from gentoomuch_portage.errors import GmError

BLOCK = 512
_KINDS = {
    "1": "a hard link", "2": "a link", "3": "a device", "4": "a device", "5": "a folder", "6": "a pipe",
    "S": "a sparse file", "x": "an extended header", "g": "an extended header", "K": "a long link",
}  # fmt: skip
_MOST_NAME = 4096

Bad = Callable[[str], GmError]


class Tape(Protocol):
    """Something that is read from its beginning to its end."""

    place: int
    """Bytes read or skipped so far."""

    def take(self, length: int) -> bytes:
        """Exactly the next bytes."""
        ...

    def skip(self, length: int) -> None:
        """Leave the next bytes out."""
        ...


class Section:
    """A part of a source as a tape; skipping costs nothing."""

    def __init__(self, source: Source, start: int, size: int) -> None:
        self.place, self.size = 0, size
        self._source, self._start = source, start

    def take(self, length: int) -> bytes:
        """Exactly the next bytes."""
        if self.place + length > self.size:
            raise self._source.bad("it is cut off")
        upto = self._start + self.size if self.size < self._source.size else 0
        found = self._source.at(self._start + self.place, length, upto=upto)
        self.place += length
        return found

    def skip(self, length: int) -> None:
        """Leave the next bytes out."""
        self.place += length

    def rest(self) -> int:
        """Bytes that are left."""
        return self.size - self.place


def members(tape: Tape, bad: Bad, *, most: int = MOST_MEMBERS) -> Iterator[tuple[str, int]]:
    """Name and size of each plain file, in order; its content is next on the tape, and may be taken.

    Args:
        most: files, at most.

    Raises:
        GmError: made by ``bad``, for whatever is no plain file with a decent name that comes once.
    """
    seen: set[str] = set()
    long = ""
    for _ in range(most):
        header = tape.take(BLOCK)
        if not any(header):
            return
        name, size, kind = _parsed(header, bad)
        begun = tape.place
        if kind == "L" and not long and 0 < size <= _MOST_NAME:
            long = _text(tape.take(size), bad)
        elif kind != "0":
            raise bad(f"it holds {_KINDS.get(kind, 'something else than plain files')}")
        else:
            name, long = long or name, ""
            _decent(name, seen, bad)
            yield name, size
        tape.skip(begun + size + -size % BLOCK - tape.place)
    raise bad(f"it holds more than {most} files")


def _parsed(header: bytes, bad: Bad) -> tuple[str, int, str]:
    """Name, size and kind out of a header. Source: POSIX.1, "ustar Interchange Format"."""
    checksum = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _octal(header[148:156]) != checksum:
        raise bad("it is no tar archive, or a damaged one")
    name = _text(header[:100], bad)
    if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500], bad)):
        name = f"{prefix}/{name}"
    kind = header[156:157].decode("latin-1")
    return name, _size(header[124:136], bad), "0" if kind in {"\0", "7"} else kind


def _size(field: bytes, bad: Bad) -> int:
    if field[0] == 0x80:  # GNU's way for 8 GiB and more
        return int.from_bytes(field[1:], "big")
    size = _octal(field)
    if size is None:
        raise bad("it tells a size that is none")
    return size


def _octal(field: bytes) -> int | None:
    told = field.strip(b" \0")
    return int(told, 8) if told and not set(told) - set(b"01234567") else None


def _text(field: bytes, bad: Bad) -> str:
    try:
        return field.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError:
        raise bad("it has a name that is no text") from None


def _decent(name: str, seen: set[str], bad: Bad) -> None:
    if not name.isprintable() or {"", ".", ".."} & set(name.split("/")):
        raise bad(f"it holds a file by the name {name[:60]!r}")
    if name in seen:
        raise bad(f"it holds {name[:60]!r} twice")
    seen.add(name)
