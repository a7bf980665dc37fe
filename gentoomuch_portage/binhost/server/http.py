# SPDX-License-Identifier: GPL-2.0-or-later
"""Answer HTTP requests for a binhost: an aiohttp application, and a limit on slow connections.

Conditional requests and ranges follow RFC 9110, sections 13 and 14.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from time import strftime as clock
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from gentoomuch_portage.binhost.server import files, index_refresh
from gentoomuch_portage.binhost.server.files import OpenFile
from gentoomuch_portage.binhost.server.page import Page

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_TOLERANCE = 5
"""Seconds that Portage adds to the time of its index. Source: portage/util/_urlopen.py."""


class Range(NamedTuple):
    """The status of an answer, and the part of the file that is sent."""

    status: int
    start: int = 0
    length: int = 0


def choose_range(headers: Mapping[str, str], *, size: int, etag: str, mtime: int) -> Range:
    """Choose what a GET or HEAD request of a file gets.

    A request for several ranges gets the whole file, as RFC 9110 allows.

    Args:
        etag: with its quotes.
        mtime: seconds since the epoch.
    """
    if _is_unmodified(headers, etag, mtime):
        return Range(304)
    match = _RANGE.fullmatch(headers.get("Range", "").strip())
    if not match or not (match[1] or match[2]) or not _is_same(headers.get("If-Range"), etag, mtime):
        return Range(200, 0, size)
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return Range(200, 0, size)
    else:
        start, end = max(0, size - int(match[2])) if int(match[2]) else size, size
    return Range(206, start, end - start) if start < size else Range(416)


def _is_unmodified(headers: Mapping[str, str], etag: str, mtime: int) -> bool:
    """Check whether the client has this version of the file.

    A time must equal that of the file: an index after a rollback is older than the client's, and one that changed
    within Portage's tolerance is hardly newer. nginx compares in the same way by default.
    """
    if (tags := headers.get("If-None-Match")) is not None:
        return tags.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    since = headers.get("If-Modified-Since")
    return since is not None and _parse_date(since) in {mtime, mtime + _TOLERANCE}


def _is_same(tag: str | None, etag: str, mtime: int) -> bool:
    return tag is None or tag == etag or _parse_date(tag) == mtime


def _parse_date(date: str) -> int:
    """Parse a date to seconds since the epoch; -1 if it is invalid."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return -1


@functools.lru_cache(maxsize=512)
def _format_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


_IDLE = 20.0
"""Seconds within which a request must arrive, and for which a connection may be idle."""
_MIN_RATE = 1024
"""Bytes per second; slower clients are disconnected."""
_MAX_CONNECTIONS = 4000
"""Maximum number of connections of one process."""
_PREPARE_TIMEOUT = 10.0
"""Seconds to wait for the compressed and signed files of a new index."""
_INDEX_FILES = frozenset({"Packages", "Packages.gz", "Packages.zst", "Packages.asc"})
_TYPES = {"asc": "text/plain; charset=utf-8", "gz": "application/gzip", "Packages": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The served binhost."""

    root: Path
    """Its directory; may be a link that changes."""
    prepared: Path
    """Directory of the files that ``IndexRefresher`` prepares: ``IDENTITY.gz``, ``.zst``, ``.asc``."""
    key: Path
    """The public signing key, ``key.asc``; ``revoked.asc`` is in the same directory if keys were revoked."""
    name: str
    """The binhost is also available below a path of this name."""
    page: Page | None = None
    """The page for browsers, if there is one."""


class BinhostServer:
    """Answers requests; one per process."""

    def __init__(self, site: Site, log: Callable[[str], None], *, grace: float = 0.0) -> None:
        """Configure the server; it does not accept requests yet.

        Args:
            log: called with each line of the access log, without its end.
            grace: seconds that active requests may take when the runner is cleaned up.
        """
        self._site = site
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        own: dict[str, Any] = {"access_log_class": _access_log(log), "logger": make_logger(), "lingering_time": 0}
        self.runner = web.AppRunner(app, shutdown_timeout=grace, **own)
        self._deadlines: dict[Any, float] = {}
        """Connection -> when its request must have arrived, or its answer must have been read."""

    async def close_slow(self) -> None:
        """Close connections, repeatedly, that do not complete a request, or read their answer too slowly."""
        gc.freeze()
        while self.runner.server is not None:
            await asyncio.sleep(_IDLE / 10)
            gc.collect()  # rejected requests leave reference cycles that hold their input
            now = time.monotonic()
            connections = self.runner.server.connections
            self._deadlines = {connection: self._deadlines.get(connection, now + _IDLE) for connection in connections}
            for connection, deadline in self._deadlines.items():
                if now > deadline and connection.transport is not None:
                    connection.transport.abort()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self._deadlines[request.protocol] = time.monotonic() + 3 * _IDLE
        try:
            return await self._find_answer(request)
        except ConnectionError:  # the client disconnected, or read too slowly
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        finally:
            self._deadlines[request.protocol] = time.monotonic() + _IDLE

    async def _find_answer(self, request: web.Request) -> web.StreamResponse:
        if self.runner.server is None or len(self.runner.server.connections) > _MAX_CONNECTIONS:
            return web.Response(status=503, headers={"Connection": "close", "Retry-After": "5"})
        path, top = request.raw_path.partition("?")[0], f"/{self._site.name}"
        if path == top or path.startswith(f"{top}/"):
            path = path[len(top) :] or "/"
        if path == "/" and self._site.page is not None:
            body = await asyncio.to_thread(self._site.page.format, request.query_string)
            return web.Response(body=body, content_type="text/html", charset="utf-8")
        name = files.parse_name(path)
        file, headers = await self._find_file(name, request.headers.get("Accept-Encoding", "")) if name else (None, {})
        if file is None:
            return web.Response(status=404, text="file not found\n")
        try:
            content_type = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
            return await self._send(request, file, {"Content-Type": content_type, **headers})
        finally:
            os.close(file.number)

    async def _find_file(self, name: str, encodings: str) -> tuple[OpenFile | None, dict[str, str]]:
        """Find the file for a name, and its additional headers.

        If the index is signed, clients see the last signed one, independent of later changes of the index.
        """
        if name in _INDEX_FILES and (latest := self._latest()):
            if name == "Packages":
                return self._find_index(encodings, latest, files.open_file(self._site.prepared, f"{latest}.plain"))
            return files.open_file(self._site.prepared, f"{latest}.{name.rpartition('.')[2]}"), {}
        file = files.open_file(self._site.root, name)
        if name == "Packages":
            return self._find_index(encodings, file.identity if file else "", file)
        if file is None and name in {"key.asc", "revoked.asc"}:
            file = files.open_file(self._site.key.parent, name)
        elif file is None and name in _INDEX_FILES:
            file = await self._wait_for_prepared(name.rpartition(".")[2])
        return file, {}

    def _latest(self) -> str:
        """Return the identity of the signed index that clients see; empty if they see the binhost's own files."""
        own = files.find_identity(self._site.root, "Packages.asc")
        return "" if own else index_refresh.read_latest(self._site.prepared)

    def _find_index(
        self, encodings: str, identity: str, plain: OpenFile | None
    ) -> tuple[OpenFile | None, dict[str, str]]:
        """Find the index, compressed if that is ready and the client accepts it."""
        accepted = {coding.partition(";")[0].strip().lower() for coding in encodings.split(",")}
        for suffix, encoding in (("zst", "zstd"), ("gz", "gzip")):
            packed = files.open_file(self._site.prepared, f"{identity}.{suffix}") if encoding in accepted else None
            if plain and packed:
                os.close(plain.number)
                return packed, {"Content-Encoding": encoding, "Vary": "Accept-Encoding"}
        return plain, {"Vary": "Accept-Encoding"}

    async def _wait_for_prepared(self, suffix: str) -> OpenFile | None:
        """Find a prepared file of the current index, which may be about to be written."""
        ends = time.monotonic() + _PREPARE_TIMEOUT
        while identity := files.find_identity(self._site.root):
            ready = (self._site.prepared / f"{identity}.ready").exists()
            file = files.open_file(self._site.prepared, f"{identity}.{suffix}")
            if file is not None or ready or time.monotonic() > ends:
                return file
            await asyncio.sleep(0.05)
        return None

    async def _send(self, request: web.Request, file: OpenFile, more: dict[str, str]) -> web.StreamResponse:
        etag, mtime = f'"{file.identity}"', file.mtime_ns // 10**9
        part = choose_range(request.headers, size=file.size, etag=etag, mtime=mtime)
        headers = {"ETag": etag, "Last-Modified": _format_date(mtime), "Accept-Ranges": "bytes", **more}
        if part.status == 206:
            headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{file.size}"
        elif part.status == 416:
            headers["Content-Range"] = f"bytes */{file.size}"
        if part.status != 304:
            headers["Content-Length"] = str(part.length)
        response = web.StreamResponse(status=part.status, headers=headers)
        limit = 3 * _IDLE + part.length / _MIN_RATE
        self._deadlines[request.protocol] = time.monotonic() + limit + _IDLE
        await response.prepare(request)
        if part.length and request.method == "GET":
            await _send_in_time(request, file.number, part, limit)
            response["sent"] = part.length
        return response


async def _send_in_time(request: web.Request, number: int, part: Range, limit: float) -> None:
    """Send a part of a file after the headers.

    Only sending itself can be ended: asyncio never closes a connection that is aborted while it sends a file.

    Args:
        limit: seconds that this may take.

    Raises:
        ConnectionError: the client disconnected, or read too slowly.
    """
    try:
        async with asyncio.timeout(limit):
            await _send_file(request, number, part)
    except TimeoutError as error:
        raise ConnectionAbortedError("the client read too slowly") from error


async def _send_file(request: web.Request, number: int, part: Range) -> None:
    """Send a part of a file.

    Bytes that the socket accepts immediately are sent directly; asyncio's own call doubles the time for small parts.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client disconnected")
    start, count = part.start, part.length
    if transport.get_extra_info("sslcontext") is None and not transport.get_write_buffer_size():
        with contextlib.suppress(BlockingIOError):
            sent = os.sendfile(transport.get_extra_info("socket").fileno(), number, start, count)
            start, count = start + sent, count - sent
    if count:
        with os.fdopen(number, "rb", closefd=False) as file:
            await asyncio.get_running_loop().sendfile(transport, file, start, count)


def make_logger() -> logging.Logger:
    """Make a logger for errors: the traceback of a bug, but one line for invalid HTTP."""

    def brief(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.exc_info = f"{record.msg}: invalid HTTP ({type(error).__name__})", None
        return True

    logger = logging.Logger("gentoomuch.binserve")
    logger.addHandler(logging.StreamHandler())
    logger.addFilter(brief)
    return logger


def _access_log(log: Callable[[str], None]) -> type[AbstractAccessLogger]:
    """Make the access log: lines in the common log format, with the range appended."""

    class AccessLog(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            version = request.version
            requested = f"{request.method} {request.raw_path[:500]} HTTP/{version.major}.{version.minor}"
            sent, ranges = response.get("sent", response.body_length), request.headers.get("Range", "-")[:100]
            now = clock("%d/%b/%Y:%H:%M:%S %z")
            line = f'{request.remote or "-"} - - [{now}] "{requested}" {response.status} {sent} "{ranges}"'
            log(line.encode("unicode_escape").decode("ascii"))

    return AccessLog
