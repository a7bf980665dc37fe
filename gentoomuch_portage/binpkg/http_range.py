# SPDX-License-Identifier: GPL-2.0-or-later
"""Read parts of a file on a binhost by HTTP ranges, with limits on bytes and time.

Source: RFC 9110, "Range Requests".
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gentoomuch_portage.binpkg.http import BadRedirect, BinpkgUnreadable, Pools, describe_error, is_unanswered
from gentoomuch_portage.binpkg.source import Source
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    import urllib3
else:
    urllib3 = LazyModule("urllib3")

MAX_WHOLE = 4 << 20
"""Maximum bytes of a file that is read from its beginning because the server does not support ranges."""
_CHUNK = 64 << 10
_BEYOND = re.compile(r"bytes \*/(\d+)")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@contextmanager
def open_remote(pools: Pools, url: str, size: int) -> Iterator[Source]:
    """Open a file of a binhost for reading by parts.

    Args:
        size: bytes according to the index; 0 if unknown.

    Raises:
        BinpkgUnreadable: its size had to be requested, and that failed.
    """
    file = _File(pools, url, size)
    try:
        yield Source(urlsplit(url).path, file.size or file.request_size(), file.read_at, seconds=pools.timeouts.total)
    finally:
        file.close()


class _File:
    """One file of a binhost."""

    def __init__(self, pools: Pools, url: str, size: int) -> None:
        self.size = size
        self._pools, self._url, self._current = pools, url, url
        self._ends = time.monotonic() + pools.timeouts.total
        self._whole: urllib3.BaseHTTPResponse | None = None
        self._seen = b""

    def request_size(self) -> int:
        """Request the size from the server.

        Raises:
            BinpkgUnreadable: the server does not report it.
        """
        self.read_at(0, 1)
        if not self.size:
            raise self._error("neither its index nor its binhost reports its size")
        return self.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Read bytes; fewer only at the end of the file.

        Raises:
            BinpkgUnreadable: the server does not send them.
        """
        with self._convert_errors():
            if self._whole is None:
                answer = self._answer(offset, length)
                if answer.status == 206:
                    self._check_range(answer, offset, length)
                    return self._read_part(answer, length)
                self._whole = answer
                self.size = self.size or int(answer.headers.get("Content-Length") or 0)
            if offset + length > MAX_WHOLE:
                raise self._error("its binhost does not support ranges, and the file is too long to be read whole")
            while len(self._seen) < offset + length and (more := self._read_chunk(self._whole)):
                self._seen += more
            return self._seen[offset : offset + length]

    def _answer(self, offset: int, length: int) -> "urllib3.BaseHTTPResponse":
        """Request a range, and return the first answer that is not a redirect."""
        headers = {"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity"}
        try:
            self._current, answer = self._pools.follow(self._url, headers, self._current)
        except BadRedirect as error:
            raise self._error(str(error)) from error
        return self._check_answer(answer)

    def close(self) -> None:
        """Close an answer that was not read to its end."""
        if self._whole is not None:
            self._whole.close()

    def _check_answer(self, answer: "urllib3.BaseHTTPResponse") -> "urllib3.BaseHTTPResponse":
        if answer.status == 416 and (total := _BEYOND.fullmatch(answer.headers.get("Content-Range", ""))):
            answer.close()
            raise self._error(f"it has {total[1]} bytes, but {self.size} in its index")
        if answer.status not in {200, 206}:
            answer.close()
            raise self._error(f"its binhost answers {answer.status}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            answer.close()
            raise self._error("its binhost compresses files though that was not requested")
        return answer

    def _check_range(self, answer: "urllib3.BaseHTTPResponse", offset: int, length: int) -> None:
        """Compare the range of an answer with the requested one."""
        part = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if not part or int(part[1]) != offset or int(part[2]) >= offset + length:
            answer.close()
            raise self._error("its binhost sends another part than requested")
        if part[3] != "*" and int(part[3]) != self.size:
            if self.size:
                answer.close()
                raise self._error(f"it has {part[3]} bytes, but {self.size} in its index")
            self.size = int(part[3])

    def _read_part(self, answer: "urllib3.BaseHTTPResponse", length: int) -> bytes:
        content = b""
        while len(content) < length and (chunk := self._read_chunk(answer)):
            content += chunk
        if len(content) == length:
            answer.release_conn()
        else:
            answer.close()
        return content[:length]

    def _read_chunk(self, answer: "urllib3.BaseHTTPResponse") -> bytes:
        """Read what has arrived; empty at the end."""
        if time.monotonic() > self._ends:
            answer.close()
            raise self._error("its binhost is too slow", dead=True)
        return answer.read1(_CHUNK)

    @contextmanager
    def _convert_errors(self) -> Iterator[None]:
        """Convert all network errors to BinpkgUnreadable."""
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._error(describe_error(error), dead=is_unanswered(error)) from error

    def _error(self, why: str, *, dead: bool = False) -> BinpkgUnreadable:
        return BinpkgUnreadable(self._url, why, dead=dead)
