# SPDX-License-Identifier: GPL-2.0-or-later
"""Download a file of a binhost, with limits on its size and on its minimum rate, and resume a broken download.

A library's timeouts do not cover all places where a server can delay a client (names, TLS, headers, chunks,
trailers). Therefore a thread counts the bytes that arrive, and ends the process if they are too few.
"""

import os
import re
import stat
import threading
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from gentoomuch_portage.binpkg.decompress import DECODERS
from gentoomuch_portage.binpkg.http import BadRedirect, Pools, Timeouts, describe_error, is_unanswered
from gentoomuch_portage.errors import MachineError, bare
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    import urllib3
else:
    urllib3 = LazyModule("urllib3")

_CHUNK = 256 << 10
_GRACE = 0.5
"""Seconds for urllib3's own timeouts, whose reasons are more exact, to come first."""
_LONGEST_ETAG = 256
_PART = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


_LASTING = frozenset({"download-too-long", "download-wrong-size", "download-bomb"})
"""Codes of failures that last as long as the index names the same file."""
_DEAD = frozenset({"download-too-slow", "download-unanswered"})
"""Codes of failures that other files of that binhost would have as well."""


class DownloadFailed(MachineError):
    """A file of a binhost cannot be downloaded.

    Attributes:
        why: the reason alone: ``its binhost answers 403``.
        lasting: whether it fails as long as the index names the same file.
        dead: whether other files of that binhost would fail as well.
    """

    def __init__(self, url: str, why: str, *, code: str) -> None:
        super().__init__(f"cannot download {bare(url)}: {why}", code=code)
        self.why = why
        self.lasting = code in _LASTING
        self.dead = code in _DEAD


class Limits(NamedTuple):
    """How many bytes may come."""

    size: int
    """Bytes of the file, or its maximum."""
    exact: bool
    """Whether the file must have that size."""


class Answer(NamedTuple):
    """A completed response."""

    status: int
    """HTTP status: 200 or 206; another one only if no exact size is required."""
    etag: str
    size: int
    """Size of the local file now, in bytes."""


class Watchdog:
    """Counts received bytes, and calls ``expire`` if there are too few within a timeout."""

    def __init__(self, timeouts: Timeouts, url: str, expire: Callable[[DownloadFailed], None]) -> None:
        self.received = 0
        self._timeouts, self._url, self._expire = timeouts, url, expire
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Stop counting."""
        self._done.set()

    def _watch(self) -> None:
        seconds = self._timeouts.silence
        if self._done.wait(seconds + _GRACE):
            return
        if not self.received:
            self._expire(DownloadFailed(self._url, "its binhost did not answer in time", code="download-unanswered"))
        before = self.received
        while not self._done.wait(seconds):
            if self.received - before < self._timeouts.rate * seconds:
                why = f"its binhost sends less than {self._timeouts.rate} bytes a second"
                self._expire(DownloadFailed(self._url, why, code="download-too-slow"))
            before = self.received


def download(
    pools: Pools, url: str, file: BinaryIO, limits: Limits, watchdog: Watchdog, *, etag: str = "", start: int = 0
) -> Answer:
    """Download a file of a binhost into an open file.

    Args:
        file: unbuffered; contains the first ``start`` bytes already.
        etag: of the version that is known and not needed again.

    Raises:
        DownloadFailed: the download failed, or the file is not as expected. Nothing beyond the limit was written.
    """
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {"If-None-Match": etag} if etag else {}
    try:
        _, answer = pools.follow(url, headers)
        try:
            return _receive(answer, url, file, limits, watchdog, etag=etag, start=start)
        finally:
            answer.close()
    except BadRedirect as error:
        raise DownloadFailed(url, str(error), code="download-redirected") from error
    except (urllib3.exceptions.HTTPError, ConnectionError, ValueError) as error:
        code = "download-unanswered" if is_unanswered(error) else "download-broken"
        raise DownloadFailed(url, describe_error(error), code=code) from error


def _receive(
    answer: "urllib3.BaseHTTPResponse",
    url: str,
    file: BinaryIO,
    limits: Limits,
    watchdog: Watchdog,
    *,
    etag: str,
    start: int,
) -> Answer:
    new = answer.headers.get("ETag", "")
    new = new if len(new) <= _LONGEST_ETAG else ""
    if answer.status not in {200, 206} and not limits.exact:
        return Answer(answer.status, new, 0)
    if answer.status == 206 and start:
        part = _PART.fullmatch(answer.headers.get("Content-Range", ""))
        if not part or int(part[1]) != start:
            raise DownloadFailed(url, "its binhost sends another part than requested", code="download-denied")
    elif answer.status == 200:
        start = 0
    elif answer.status == 416:
        raise DownloadFailed(url, f"its binhost has no more than {start} bytes of it", code="download-wrong-size")
    else:
        raise DownloadFailed(url, f"its binhost answers {answer.status}", code="download-denied")
    announced = answer.headers.get("Content-Length", "")
    if announced.isdigit():
        _check_size(url, start + int(announced), limits)
    file.seek(start)
    file.truncate()
    end = _copy(answer, url, file, limits, watchdog, start)
    if limits.exact and end < limits.size:
        raise DownloadFailed(url, f"its binhost sent only {end} of {limits.size} bytes", code="download-broken")
    return Answer(answer.status, new, end)


def _check_size(url: str, size: int, limits: Limits) -> None:
    """Compare the announced size with the one in the index."""
    if limits.exact and size != limits.size:
        raise DownloadFailed(url, f"it has {size} bytes, but {limits.size} in its index", code="download-wrong-size")
    if size > limits.size:
        raise DownloadFailed(url, f"it has {size} bytes, more than {limits.size}", code="download-too-long")


def _copy(
    answer: "urllib3.BaseHTTPResponse", url: str, file: BinaryIO, limits: Limits, watchdog: Watchdog, end: int
) -> int:
    """Copy the body of a response, and return the size of the file."""
    while chunk := answer.read1(min(_CHUNK, limits.size - end + 1)):
        end += len(chunk)
        if end > limits.size:
            raise DownloadFailed(url, f"its binhost sends more than {limits.size} bytes", code="download-too-long")
        write_all(file, chunk)
        watchdog.received += len(chunk)
    return end


def write_all(file: BinaryIO, content: bytes) -> None:
    """Write to an unbuffered file."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


class BadGzip(Exception):
    """A gzip file that is damaged or decompresses to too much; its text is the reason."""


def gunzip(packed: BinaryIO, file: BinaryIO, most: int) -> int:
    """Decompress a gzip file in pieces, and return the number of bytes.

    Args:
        most: bytes that are written at most.

    Raises:
        BadGzip: it is damaged, or exceeds the limit.
    """
    make = DECODERS[".gz"]
    assert make is not None
    decoder, total, left = make(), 0, b""
    while True:
        if decoder.eof:
            left = decoder.unused_data or packed.read(_CHUNK)
            if not left:
                return total
            decoder = make()
        elif decoder.needs_input and not left:
            left = packed.read(_CHUNK)
            if not left:
                raise BadGzip("it is truncated")
        try:
            output = decoder.decompress(left, _CHUNK)
        except zlib.error as error:
            raise BadGzip(f"it cannot be decompressed ({error})") from error
        left = b""
        total += len(output)
        if total > most:
            raise BadGzip(f"it decompresses to more than {most} bytes")
        write_all(file, output)


def open_regular(folder: int, name: str) -> BinaryIO:
    """Open or create a file below an open directory for writing, unbuffered.

    Raises:
        OSError: it is a link, not a regular file, or has several hard links.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "r+b", buffering=0)
    opened = os.fstat(file.fileno())
    if not stat.S_ISREG(opened.st_mode) or opened.st_nlink != 1:
        file.close()
        raise OSError(f"{name} is not a regular file with a single hard link")
    return file
