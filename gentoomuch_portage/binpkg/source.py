# SPDX-License-Identifier: GPL-2.0-or-later
"""Random access to a file that may be hostile, with limits on bytes and time."""

import time
from collections.abc import Callable

from gentoomuch_portage.errors import RunError

ReadAt = Callable[[int, int], bytes]
"""``read_at(offset, length)`` returns bytes; fewer only at the end of the file."""

MAX_READ = 4 << 20
"""Maximum bytes read of one package. Metadata of real packages has 5 to 200 KiB."""
MAX_VALUE = 64 << 10
"""Maximum bytes of a requested file of metadata."""
MAX_MEMBERS = 4000
"""Maximum number of files of metadata; real packages have 30 to 60."""
SECONDS = 15.0
"""For one package in total."""
FIRST_READ = 16 << 10
"""Bytes of the first read; enough for most packages that we build."""
MAX_STEP = 256 << 10
"""Maximum bytes of a further read."""


class BadBinpkg(RunError):
    """The file is not a valid binary package.

    Attributes:
        why: the reason alone: ``it is truncated``.
    """

    code = "bad-binpkg"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"cannot read {name} as a binary package: {why}")
        self.name, self.why = name, why


class Source:
    """A file of known size, read by parts. One window of it is buffered and extended by adjacent reads."""

    def __init__(self, name: str, size: int, read_at: ReadAt, *, seconds: float = SECONDS) -> None:
        self.name, self.size = name, size
        self.spent = 0
        """Bytes read so far."""
        self._read_at = read_at
        self._ends = time.monotonic() + seconds
        self._start, self._window = 0, b""

    def bad(self, why: str) -> BadBinpkg:
        """Make the error that rejects this file."""
        return BadBinpkg(self.name, why)

    def check_time(self) -> None:
        """Fail if reading takes too long.

        Raises:
            BadBinpkg: the time is over.
        """
        if time.monotonic() > self._ends:
            raise self.bad("reading it takes too long")

    def at(self, offset: int, length: int, *, upto: int = 0) -> bytes:
        """Return exactly the requested bytes.

        Args:
            upto: end of the bytes that will be requested next, to read them at once; 0 if unknown.

        Raises:
            BadBinpkg: the file is shorter, or a limit is exceeded.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self.bad("it is truncated")
        end = self._start + len(self._window)
        if not self._start <= offset <= end:
            self._start, self._window, end = offset, b"", offset
        if offset + length > end:
            ahead = min(upto, end + MAX_STEP) if upto else end + FIRST_READ
            self._window += self._more(end, min(max(ahead, offset + length), self.size) - end)
        return self._window[offset - self._start : offset - self._start + length]

    def _more(self, offset: int, length: int) -> bytes:
        self.check_time()
        self.spent += length
        if self.spent > MAX_READ:
            raise self.bad(f"more than {MAX_READ >> 20} MiB would have to be read")
        content = self._read_at(offset, length)
        if len(content) != length:
            raise self.bad("it is truncated")
        return content


def read_value(source: Source, key: str, size: int, take: Callable[[int], bytes]) -> str:
    """Read a file of metadata, stripped.

    Args:
        take: returns its bytes; not called for a file over the limit.

    Raises:
        BadBinpkg: it is too long, or has control characters, which could reach a terminal.
    """
    if size > MAX_VALUE:
        raise source.bad(f"its {key} has {size} bytes")
    text = take(size).decode("utf-8", "replace").strip()
    if not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise source.bad(f"its {key} contains control characters")
    return text
