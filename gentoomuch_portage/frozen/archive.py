"""The archive as bytes: a plain tar with one way to be written, so that whatever is written otherwise is refused."""

import io
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.binpkgs import tar
from gentoomuch_portage.files import STDIO
from gentoomuch_portage.frozen.errors import BadArchive, CannotFreeze

MOST_BYTES = 64 << 20
"""Of an archive; real ones have 20 KiB to 2 MiB. It is held in memory, and checked before anything is written."""
MOST_MEMBERS = 20_000
_EPOCH = 315_532_800
"""1980-01-01, of each member: tar warns of older ones."""


class Member(NamedTuple):
    """A plain file."""

    path: str
    """Relative, with slashes; no part of it begins with a dot."""
    content: bytes
    mode: int = 0o644
    """Permissions alone."""


def packed(members: Iterable[Member]) -> bytes:
    """The archive of members, in the order given; the same bytes for the same members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for one in members:
            info = tarfile.TarInfo(one.path)
            info.size, info.mode, info.mtime = len(one.content), one.mode, _EPOCH
            archive.addfile(info, io.BytesIO(one.content))
    return out.getvalue()


def unpacked(content: bytes, name: str) -> tuple[Member, ...]:
    """The members of an archive, in order.

    Args:
        name: of the file, for messages.

    Raises:
        BadArchive: it is not, byte by byte, what ``packed`` makes of these members; or it is too large.
    """

    def bad(why: str) -> BadArchive:
        return BadArchive(name, why)

    reel = _Reel(content, bad)
    found = []
    for path, size in tar.members(reel, bad, most=MOST_MEMBERS):
        if any(part.startswith(".") for part in path.split("/")):
            raise bad(f"it holds a hidden file, {path[:60]!r}")
        header = content[reel.place - tar.BLOCK : reel.place]
        found.append(Member(path, reel.take(size), _mode(header, bad)))
    if packed(found) != content:
        raise bad("it is not written as gentoomuch freeze writes it")
    return tuple(found)


def _mode(header: bytes, bad: tar.Bad) -> int:
    told = header[100:108].strip(b" \0")
    mode = int(told, 8) if told and not set(told) - set(b"01234567") else -1
    if not 0 <= mode <= 0o777:
        raise bad("it holds a file with permissions that freeze does not write")
    return mode


class _Reel:
    """Bytes in memory as a tape."""

    def __init__(self, content: bytes, bad: tar.Bad) -> None:
        self.place = 0
        self._content, self._bad = content, bad

    def take(self, length: int) -> bytes:
        if self.place + length > len(self._content):
            raise self._bad("it is cut off")
        self.place += length
        return self._content[self.place - length : self.place]

    def skip(self, length: int) -> None:
        self.place += length


def read(file: Path) -> bytes:
    """The bytes of a file, once: what is checked is what is used.

    Args:
        file: ``-`` is the standard input.

    Raises:
        BadArchive: it is no plain file, not readable, or too large.
    """
    try:
        number = os.dup(0) if file == STDIO else os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as source:
            if file != STDIO and not stat.S_ISREG(os.fstat(number).st_mode):
                raise BadArchive(str(file), "it is no plain file")
            content = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadArchive(str(file), (error.strerror or "it cannot be read").lower()) from error
    if len(content) > MOST_BYTES:
        raise BadArchive(str(file), f"it is larger than {MOST_BYTES >> 20} MiB")
    return content


def written(members: Iterable[Member], name: str) -> bytes:
    """The archive of members that ``unpacked`` will take.

    Raises:
        CannotFreeze: one has a name that will not be taken, or there are too many.
    """
    content = packed(members)
    try:
        if len(content) > MOST_BYTES:
            raise BadArchive(name, f"it would be larger than {MOST_BYTES >> 20} MiB")
        unpacked(content, name)
    except BadArchive as error:
        raise CannotFreeze(f"{name} cannot be frozen: {error.why}", remedy="rename or remove that file") from error
    return content
