# SPDX-License-Identifier: GPL-2.0-or-later
"""A binhost that attacks its clients: it serves a folder, and what ends as told in one of these ways."""

import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from helpers.http_threads import run_server

MOST = 1 << 30
"""Bytes after which even an endless body ends, so that no test fills the disk."""
_BLOCK = bytes(1 << 16)
_PART = re.compile(r"bytes=\d+-\d+$")
"""Who only looks into a package is not attacked."""
_RESUME = re.compile(r"bytes=(\d+)-$")


@dataclass
class Server:
    """A server as long as it runs."""

    folder: Path
    attack: str = ""
    """A key of ``ATTACKS``; empty for none."""
    on: str = ""
    """How the paths end that are attacked."""
    login: str = ""
    """The Authorization that it wants; empty for none."""
    target: str = ""
    """Where it redirects to."""
    pause: float = 0
    """Seconds between the pieces of a slow body."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """The paths of all requests."""
    authorized: list[str] = field(default_factory=list)
    """The Authorization of each request; empty for none."""
    parts: list[str] = field(default_factory=list)
    """The Range of each request that had one."""
    proxied: list[str] = field(default_factory=list)
    """The Proxy-Authorization of each request that had one."""
    sent: int = 0
    """Bytes of attacking bodies that the client took."""
    stayed: list[float] = field(default_factory=list)
    """Seconds that the client stayed, for each attack."""


@contextmanager
def attacking(folder: Path, attack: str = "", on: str = "", **more: object) -> Iterator[Server]:
    """Serve a folder on a port of its own until the block ends."""
    server = Server(folder, attack, on, **more)

    def answer(ask: BaseHTTPRequestHandler) -> None:
        server.asked.append(ask.path)
        server.authorized.append(ask.headers.get("Authorization", ""))
        server.parts += filter(None, [ask.headers.get("Range")])
        server.proxied += filter(None, [ask.headers.get("Proxy-Authorization")])
        with suppress(OSError):
            _answer(ask, server)

    with run_server(answer) as server.url:
        yield server


def _answer(ask: BaseHTTPRequestHandler, server: Server) -> None:
    path = server.folder / ask.path.removeprefix("http://far.example").lstrip("/")  # asked as a proxy
    if server.login and ask.headers.get("Authorization") != server.login:
        _whole(ask, 401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
    elif server.attack and ask.path.endswith(server.on) and not _PART.match(ask.headers.get("Range", "")):
        begun = time.monotonic()
        ask.close_connection = True
        try:
            ATTACKS[server.attack](ask, server, path.read_bytes() if path.is_file() else b"")
        finally:
            server.stayed.append(time.monotonic() - begun)
    else:
        _honest(ask, path)


def _honest(ask: BaseHTTPRequestHandler, path: Path) -> None:
    """Answer as a server should; of ranges those that resume."""
    if not path.is_file():
        _whole(ask, 404, b"", {})
        return
    content, etag = path.read_bytes(), f'"{path.stat().st_mtime_ns}"'
    if ask.headers.get("If-None-Match") == etag:
        _whole(ask, 304, b"", {"ETag": etag})
    elif resumed := _RESUME.match(ask.headers.get("Range", "")):
        start = int(resumed[1])
        part = f"bytes {start}-{len(content) - 1}/{len(content)}"
        _whole(ask, 206, content[start:], {"Content-Range": part})
    else:
        _whole(ask, 200, content, {"ETag": etag})


def _whole(ask: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    ask.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        ask.send_header(name, value)
    ask.end_headers()
    ask.wfile.write(body)


def _begin(ask: BaseHTTPRequestHandler, **headers: str) -> None:
    ask.send_response(200)
    for name, value in headers.items():
        ask.send_header(name.replace("_", "-"), value)
    ask.end_headers()


def _until_gone(ask: BaseHTTPRequestHandler, server: Server, piece: bytes, pause: float = 0) -> None:
    while server.sent < MOST:
        ask.wfile.write(piece)
        server.sent += len(piece)
        if pause:
            time.sleep(pause)
            if not _listens(ask.connection):
                return


def _listens(connection: socket.socket) -> bool:
    """Whether the client has not closed its end."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    finally:
        connection.setblocking(True)


def _endless(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    _begin(ask, Connection="close")
    _until_gone(ask, server, _BLOCK)


def _endless_chunks(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    _begin(ask, Transfer_Encoding="chunked")
    _until_gone(ask, server, b"10000\r\n" + _BLOCK + b"\r\n")


def _endless_after_body(ask: BaseHTTPRequestHandler, server: Server, body: bytes) -> None:
    _begin(ask, Connection="close")
    ask.wfile.write(body)
    _until_gone(ask, server, _BLOCK)


def _trickle(ask: BaseHTTPRequestHandler, server: Server, body: bytes) -> None:
    _begin(ask, Content_Length=str(len(body)))
    for at in range(len(body)):
        _until_gone_once(ask, server, body[at : at + 1], 0.25)


def _trickle_after_half(ask: BaseHTTPRequestHandler, server: Server, body: bytes) -> None:
    _begin(ask, Content_Length=str(len(body)))
    ask.wfile.write(body[: len(body) // 2])
    for at in range(len(body) // 2, len(body)):
        _until_gone_once(ask, server, body[at : at + 1], 0.25)


def _until_gone_once(ask: BaseHTTPRequestHandler, server: Server, piece: bytes, pause: float) -> None:
    ask.wfile.write(piece)
    server.sent += len(piece)
    time.sleep(pause)
    if not _listens(ask.connection):
        raise ConnectionResetError


def _slow(ask: BaseHTTPRequestHandler, server: Server, body: bytes) -> None:
    """No attack: a connection of a few pieces a second."""
    _begin(ask, Content_Length=str(len(body)))
    step = max(1, len(body) // 10)
    for at in range(0, len(body), step):
        _until_gone_once(ask, server, body[at : at + step], server.pause)


def _headers(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    ask.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    _until_gone(ask, server, b"x", 0.25)


def _continue(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    _until_gone(ask, server, b"HTTP/1.1 100 Continue\r\n\r\n", 0.01)


def _trailers(ask: BaseHTTPRequestHandler, server: Server, body: bytes) -> None:
    _begin(ask, Transfer_Encoding="chunked")
    ask.wfile.write(b"%x\r\n%b\r\n0\r\n" % (len(body), body))
    _until_gone(ask, server, b"X: x\r\n", 0.01)


def _silent(ask: BaseHTTPRequestHandler, _server: Server, _body: bytes) -> None:
    for _ in range(600):
        time.sleep(0.1)
        if not _listens(ask.connection):
            return


def _longer(ask: BaseHTTPRequestHandler, _server: Server, body: bytes) -> None:
    _whole(ask, 200, body + b"x", {})


def _shorter(ask: BaseHTTPRequestHandler, _server: Server, body: bytes) -> None:
    _whole(ask, 200, body[:-1], {})


def _loop(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    _whole(ask, 302, b"", {"Location": f"{server.url}/again{ask.path}"})


def _away(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    _whole(ask, 302, b"", {"Location": f"{server.target}{ask.path}"})


def _bomb(ask: BaseHTTPRequestHandler, server: Server, _body: bytes) -> None:
    body = gzip.compress(bytes(64 << 20)) * 16
    _whole(ask, 200, body, {"ETag": '"bomb"'})
    server.sent += len(body)


def _flipped(ask: BaseHTTPRequestHandler, _server: Server, body: bytes) -> None:
    at = len(body) // 2
    _whole(ask, 200, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], {})


def _no_ranges(ask: BaseHTTPRequestHandler, _server: Server, body: bytes) -> None:
    _whole(ask, 200, body, {})


def _other_part(ask: BaseHTTPRequestHandler, _server: Server, body: bytes) -> None:
    _whole(ask, 206, body[1:], {"Content-Range": f"bytes 1-{len(body) - 1}/{len(body)}"})


def _half(ask: BaseHTTPRequestHandler, _server: Server, body: bytes) -> None:
    _begin(ask, Content_Length=str(len(body)))
    ask.wfile.write(body[: len(body) // 2])


def _denied(ask: BaseHTTPRequestHandler, _server: Server, _body: bytes) -> None:
    _whole(ask, 403, b"no", {})


def _missing(ask: BaseHTTPRequestHandler, _server: Server, _body: bytes) -> None:
    _whole(ask, 404, b"", {})


ATTACKS: dict[str, Callable[[BaseHTTPRequestHandler, Server, bytes], None]] = {
    "endless": _endless,
    "endless chunks": _endless_chunks,
    "endless after the body": _endless_after_body,
    "trickle": _trickle,
    "trickle after half": _trickle_after_half,
    "slow": _slow,
    "headers": _headers,
    "continue": _continue,
    "trailers": _trailers,
    "silent": _silent,
    "longer": _longer,
    "shorter": _shorter,
    "loop": _loop,
    "away": _away,
    "bomb": _bomb,
    "flipped": _flipped,
    "no ranges": _no_ranges,
    "other part": _other_part,
    "half": _half,
    "denied": _denied,
    "missing": _missing,
}
