"""One file of metadata as text that can be believed to be a variable.

Bytes out of a file that lies anywhere and may be hostile: within limits on how many, and on time.
"""

import time
from collections.abc import Callable

from gentoomuch_portage.errors import RunError

ReadAt = Callable[[int, int], bytes]
"""``read_at(offset, length)`` gives the bytes there; fewer only where the file ends."""

MOST_READ = 4 << 20
"""Bytes that are read of one package at most. Metadata of real packages has 5 to 200 KiB."""
MOST_VALUE = 64 << 10
"""Bytes of one file of metadata at most, of those that are wanted."""
MOST_MEMBERS = 4000
"""Files of metadata at most; real packages have 30 to 60."""
SECONDS = 15.0
"""For one package, all in all."""
FIRST = 16 << 10
"""Bytes of the first read; enough for most packages of a kind that we build ourselves."""
STEP = 256 << 10
"""Bytes of a further read at most."""


class BadBinpkg(RunError):
    """A file that is no binary package, or a hostile one.

    Attributes:
        why: the fact alone: ``it is cut off``.
    """

    code = "bad-binpkg"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} cannot be read as a binary package: {why}")
        self.name, self.why = name, why


class Source:
    """A file of known size, read by parts. One window of it is held; parts that follow it extend the window."""

    def __init__(self, name: str, size: int, read_at: ReadAt, *, seconds: float = SECONDS) -> None:
        self.name, self.size = name, size
        self.spent = 0
        """Bytes read so far."""
        self._read_at = read_at
        self._ends = time.monotonic() + seconds
        self._start, self._window = 0, b""

    def bad(self, why: str) -> BadBinpkg:
        """The error that refuses this file."""
        return BadBinpkg(self.name, why)

    def check_time(self) -> None:
        """Give up where reading takes too long.

        Raises:
            BadBinpkg: it does.
        """
        if time.monotonic() > self._ends:
            raise self.bad("reading it takes too long")

    def at(self, offset: int, length: int, *, upto: int = 0) -> bytes:
        """Exactly the bytes that are asked for.

        Args:
            upto: where what will be asked for next ends, so that it is read in one go; 0 where nobody knows.

        Raises:
            BadBinpkg: the file ends before, or a limit is reached.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self.bad("it is cut off")
        held = self._start + len(self._window)
        if not self._start <= offset <= held:
            self._start, self._window, held = offset, b"", offset
        if offset + length > held:
            ahead = min(upto, held + STEP) if upto else held + FIRST
            self._window += self._more(held, min(max(ahead, offset + length), self.size) - held)
        return self._window[offset - self._start : offset - self._start + length]

    def _more(self, offset: int, length: int) -> bytes:
        self.check_time()
        self.spent += length
        if self.spent > MOST_READ:
            raise self.bad(f"more than {MOST_READ >> 20} MiB of it would have to be read")
        found = self._read_at(offset, length)
        if len(found) != length:
            raise self.bad("it is cut off")
        return found


def value(source: Source, key: str, size: int, take: Callable[[int], bytes]) -> str:
    """A file of metadata, stripped.

    Args:
        take: gives its bytes; not called where they are too many.

    Raises:
        BadBinpkg: it is too long, or has characters that no variable has: they could reach a terminal.
    """
    if size > MOST_VALUE:
        raise source.bad(f"its {key} has {size} bytes")
    text = take(size).decode("utf-8", "replace").strip()
    if not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise source.bad(f"its {key} holds control characters")
    return text
