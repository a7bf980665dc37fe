"""The HTTP of a binhost, by aiohttp: files are sent by the kernel, and nobody is waited for without end.

What the conditions and the range of a request ask for: nothing, a part, or all of a file.

Source: RFC 9110, sections 13 and 14.
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
from typing import TYPE_CHECKING, Any, NamedTuple

from gentoomuch_portage.binhost.server import files, index_refresh
from gentoomuch_portage.binhost.server.files import Opened

if TYPE_CHECKING:
    from aiohttp import web


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_TOLERANCE = 5
"""Seconds that Portage adds to the time of the index it has. Source: portage/util/_urlopen.py."""


class Answer(NamedTuple):
    """What is sent: a status, and of a file so many bytes from there on."""

    status: int
    start: int = 0
    length: int = 0


def answer(headers: Mapping[str, str], *, size: int, etag: str, mtime: int) -> Answer:
    """Decide what a GET or HEAD of a file gets.

    Of several ranges none is looked at: whoever asks for them gets the whole file, as RFC 9110 allows.

    Args:
        etag: with its quotes.
        mtime: seconds since the epoch.
    """
    if _unmodified(headers, etag, mtime):
        return Answer(304)
    asked = headers.get("Range", "")
    if not asked or not _same(headers.get("If-Range"), etag, mtime):
        return Answer(200, 0, size)
    found = _RANGE.fullmatch(asked.strip())
    if not found or not (found[1] or found[2]):
        return Answer(200, 0, size)
    return _part(found[1], found[2], size)


def _part(first: str, last: str, size: int) -> Answer:
    if not first:
        start, end = max(0, size - int(last)), size
        start = start if int(last) else size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return Answer(200, 0, size)
    return Answer(206, start, end - start) if start < size else Answer(416)


def _unmodified(headers: Mapping[str, str], etag: str, mtime: int) -> bool:
    """Whether the client has this very file.

    A time must be the file's own, not merely later: an index that was rolled back is older than what a client
    has, and one that grew within Portage's tolerance is hardly newer. nginx compares so by default, too.
    """
    if (tags := headers.get("If-None-Match")) is not None:
        return tags.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    since = headers.get("If-Modified-Since")
    return since is not None and _seconds(since) in {mtime, mtime + _TOLERANCE}


def _same(tag: str | None, etag: str, mtime: int) -> bool:
    return tag is None or tag == etag or _seconds(tag) == mtime


def _seconds(date: str) -> int:
    """Seconds since the epoch; -1 where it is no date."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return -1


@functools.lru_cache(maxsize=512)
def date(seconds: int) -> str:
    """A time as HTTP writes it."""
    return formatdate(seconds, usegmt=True)


_IDLE = 20.0
"""Seconds for a whole request to arrive, and for which a connection may be silent."""
_SLOWEST = 1024
"""Bytes a second; whoever reads slower than that is let go."""
_MOST = 4000
"""Connections of one process at once."""
_PREPARED = 10.0
"""Seconds to wait for what is made of a new index."""
_OF_INDEX = frozenset({"Packages", "Packages.gz", "Packages.zst", "Packages.asc"})
_TYPES = {"asc": "text/plain; charset=utf-8", "gz": "application/gzip", "Packages": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is served."""

    root: Path
    """The binhost; may be a link that changes."""
    prepared: Path
    """Where ``upkeep`` lays what is made of the index: ``IDENTITY.gz``, ``.zst``, ``.asc``."""
    key: Path
    """The public key that signs."""
    name: str
    """The binhost can be had below a path of this name as well."""
    page: bytes = b""
    """What a browser sees."""


class Binhost:
    """Answers requests; one for each process."""

    def __init__(self, site: Site, log: Callable[[str], None]) -> None:
        """Take no request yet.

        Args:
            log: is told of each request, a line without its end.
        """
        from aiohttp import web

        self._site, self._log = site, log
        self._recent = files.Recent(site.root)
        self._told: list[str] = []
        """Lines for the log; those of one turn of the loop are told together, for a write costs as much as a header."""
        own: dict[str, Any] = {"access_log": None, "keepalive_timeout": _IDLE, "lingering_time": 0, "logger": _logger()}
        self.server = web.Server(self._handle, **own)
        self._busy: dict[Any, float] = {}
        """Connection -> when its answer must be through."""
        self._since: dict[Any, float] = {}

    async def sweep(self) -> None:
        """Let go, time and again, of whoever does not finish a request, or hardly reads its answer."""
        gc.freeze()
        while True:
            await asyncio.sleep(_IDLE / 10)
            self._recent.forget()
            gc.collect()  # what refused requests leave are circles, few of them, that hold all that came in
            there, now = set(self.server.connections), time.monotonic()
            self._since = {one: self._since.get(one, now) for one in there}
            late = [one for one in there - self._busy.keys() if now - self._since[one] > _IDLE]
            late += [one for one, ends in self._busy.items() if now > ends]
            for one in late:
                if one.transport is not None:
                    one.transport.abort()

    async def finish(self, seconds: float) -> None:
        """Let the requests under way end, then close all connections."""
        ends = time.monotonic() + seconds
        while self._busy and time.monotonic() < ends:
            await asyncio.sleep(0.05)
        await self.server.shutdown(1)

    async def _handle(self, request: "web.BaseRequest") -> "web.StreamResponse":
        from aiohttp import web

        one = request.protocol
        self._busy[one] = time.monotonic() + 3 * _IDLE
        response: web.StreamResponse
        try:
            response, sent = await self._answer(request)
        except ConnectionError:  # the client went away, or read too slowly
            if request.transport is not None:
                request.transport.abort()
            response, sent = web.Response(status=499), 0
        finally:
            self._busy.pop(one, None)
            self._since[one] = time.monotonic()
        if not self._told:
            asyncio.get_running_loop().call_soon(self._tell)
        self._told.append(_line(request, response.status, sent))
        return response

    def _tell(self) -> None:
        lines, self._told = self._told, []
        self._log("\n".join(lines))

    async def _answer(self, request: "web.BaseRequest") -> "tuple[web.StreamResponse, int]":
        from aiohttp import web

        if len(self.server.connections) > _MOST:
            return web.Response(status=503, headers={"Connection": "close", "Retry-After": "5"}), 0
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD", "Connection": "close"}), 0
        path = self._below(request.raw_path.partition("?")[0])
        if path == "/":
            return web.Response(body=self._site.page, content_type="text/html", charset="utf-8"), len(self._site.page)
        name = files.name_of(path)
        found, more = await self._found(name, request.headers.get("Accept-Encoding", "")) if name else (None, {})
        if found is None:
            return web.Response(status=404, text="there is no such file\n"), 0
        try:
            return await self._send(request, found, {"Content-Type": _type(name), **more})
        finally:
            os.close(found.number)

    def _below(self, path: str) -> str:
        """The path without the name that sets this binhost apart from others on the same host."""
        top = f"/{self._site.name}"
        return (path[len(top) :] or "/") if path == top or path.startswith(f"{top}/") else path

    async def _found(self, name: str, encodings: str) -> tuple[Opened | None, dict[str, str]]:
        """A file of the binhost, or what stands for it, with the headers that say so."""
        if name in _OF_INDEX and (shown := self._shown()):
            return self._signed(shown, name, encodings)
        if name == "Packages":
            return self._index(files.opened(self._site.root, "Packages"), encodings)
        if (found := self._recent.opened(name)) is not None:
            return found, {}
        if name == "key.asc":
            return files.opened(self._site.key.parent, self._site.key.name), {}
        if name in _OF_INDEX:
            return await self._made(name.rpartition(".")[2])
        return None, {}

    def _shown(self) -> str:
        """The identity of the signed index that clients see; empty where they see the files of the binhost."""
        if (own := files.opened(self._site.root, "Packages.asc")) is not None:
            os.close(own.number)
            return ""
        return index_refresh.latest(self._site.prepared)

    def _signed(self, shown: str, name: str, encodings: str) -> tuple[Opened | None, dict[str, str]]:
        """A file of the index that was signed last, whatever builders make of it meanwhile."""
        plain = files.opened(self._site.prepared, f"{shown}.plain")
        if plain is None or name == "Packages":
            return self._index(plain, encodings, shown)
        os.close(plain.number)
        found = files.opened(self._site.prepared, f"{shown}.{name.rpartition('.')[2]}")
        return (None if found is None else _dated(found, plain)), {}

    def _index(self, plain: Opened | None, encodings: str, identity: str = "") -> tuple[Opened | None, dict[str, str]]:
        """The index, compressed where that is ready and the client can read it.

        Args:
            identity: its own where left out.
        """
        if plain is None:
            return None, {}
        accepted = {one.partition(";")[0].strip().lower() for one in encodings.split(",")}
        for suffix, encoding in (("zst", "zstd"), ("gz", "gzip")):
            if encoding in accepted:
                found = files.opened(self._site.prepared, f"{identity or plain.identity}.{suffix}")
                if found is not None:
                    os.close(plain.number)
                    return _dated(found, plain), {"Content-Encoding": encoding, "Vary": "Accept-Encoding"}
        return plain, {"Vary": "Accept-Encoding"}

    async def _made(self, suffix: str) -> tuple[Opened | None, dict[str, str]]:
        """What ``upkeep`` makes of the index that is there now; it may be about to."""
        ends = time.monotonic() + _PREPARED
        while True:
            plain = files.opened(self._site.root, "Packages")
            if plain is None:
                return None, {}
            os.close(plain.number)
            ready = (self._site.prepared / f"{plain.identity}.ready").exists()
            found = files.opened(self._site.prepared, f"{plain.identity}.{suffix}")
            if found is not None:
                return _dated(found, plain), {}
            if ready or time.monotonic() > ends:
                return None, {}
            await asyncio.sleep(0.05)

    async def _send(
        self, request: "web.BaseRequest", found: Opened, more: dict[str, str]
    ) -> "tuple[web.StreamResponse, int]":
        from aiohttp import web

        etag, mtime = f'"{found.identity}"', found.mtime_ns // 10**9
        told = answer(request.headers, size=found.size, etag=etag, mtime=mtime)
        headers = {"ETag": etag, "Last-Modified": date(mtime), "Accept-Ranges": "bytes", **more}
        if told.status == 206:
            headers["Content-Range"] = f"bytes {told.start}-{told.start + told.length - 1}/{found.size}"
        elif told.status == 416:
            headers["Content-Range"] = f"bytes */{found.size}"
        if told.status != 304:
            headers["Content-Length"] = str(told.length)
        response = web.StreamResponse(status=told.status, headers=headers)
        self._busy[request.protocol] = time.monotonic() + 3 * _IDLE + told.length / _SLOWEST
        await response.prepare(request)
        if not told.length or request.method != "GET":
            return response, 0
        await _by_kernel(request, found.number, told)
        return response, told.length


def _logger() -> logging.Logger:
    """Hears of what goes wrong: of a mistake of ours all, of what is no HTTP a line, as of any other request."""
    from aiohttp.http_exceptions import HttpProcessingError

    def brief(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.exc_info = f"{record.msg}: what it sends is no HTTP ({type(error).__name__})", None
        return True

    logger = logging.Logger("gentoomuch.binserve")
    logger.addHandler(logging.StreamHandler())
    logger.addFilter(brief)
    return logger


async def _by_kernel(request: "web.BaseRequest", number: int, told: Answer) -> None:
    """Send a part of a file behind the headers.

    What the socket takes at once is sent at once; asyncio's own way costs half of the time of a small part.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    start, count = told.start, told.length
    if transport.get_extra_info("sslcontext") is None and not transport.get_write_buffer_size():
        with contextlib.suppress(BlockingIOError):
            sent = os.sendfile(transport.get_extra_info("socket").fileno(), number, start, count)
            start, count = start + sent, count - sent
    if count:
        # opened once more, for asyncio may seek, and others have the same place in this file
        with Path(f"/proc/self/fd/{number}").open("rb") as file:
            await asyncio.get_running_loop().sendfile(transport, file, start, count)


def _dated(made: Opened, plain: Opened) -> Opened:
    """What was made of an index has the index's time."""
    return Opened(made.number, made.size, plain.mtime_ns, made.inode)


def _type(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def _line(request: "web.BaseRequest", status: int, sent: int) -> str:
    """The common log format, with the range behind it."""
    now = _clock(int(time.time()))
    asked = f"{request.method} {request.raw_path[:500]} HTTP/{request.version.major}.{request.version.minor}"
    line = f'{request.remote or "-"} - - [{now}] "{asked}" {status} {sent} "{request.headers.get("Range", "-")[:100]}"'
    return line.encode("unicode_escape").decode("ascii")


@functools.lru_cache(maxsize=2)
def _clock(seconds: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(seconds))
