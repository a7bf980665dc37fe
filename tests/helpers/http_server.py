# SPDX-License-Identifier: GPL-2.0-or-later
"""A binhost on this machine that does ranges as it should, or misbehaves as it is told to."""

import re
import select
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

from helpers.http_threads import run_server
from helpers.waiting import HANG

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Server:
    """A server as long as it runs."""

    folder: Path
    mode: str = ""
    """How it misbehaves; empty for not at all."""
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""
    sent: dict[str, int] = field(default_factory=dict)
    """Path -> bytes of bodies that were sent, answers to ranges only."""
    headers: list[dict[str, str]] = field(default_factory=list)
    together: int = 0
    """Most requests that were under way at once."""
    wait: float = 0
    """Seconds before each answer."""
    target: str = ""
    """Where it redirects to."""
    login: str = ""
    """The Authorization that it wants; empty for none."""
    rest: int = 0
    """Bytes of a package after which it breaks off, in that mode."""
    holds: tuple[str, ...] = ()
    """Parts of paths: the first request for such a whole file is not answered until the client has disconnected."""

    def files(self) -> list[str]:
        """What was looked into, each once, in order."""
        return list(dict.fromkeys(path for path, part in self.asked if part))


@contextmanager
def serving(folder: Path, mode: str = "", context: ssl.SSLContext | None = None, **more: object) -> Iterator[Server]:
    """Serve a folder on a port of its own until the block ends."""
    server = Server(folder, mode, **more)
    under_way = [0]
    lock = threading.Lock()

    def answer(ask: BaseHTTPRequestHandler) -> None:
        with lock:
            under_way[0] += 1
            server.together = max(server.together, under_way[0])
            server.asked.append((ask.path, ask.headers.get("Range", "")))
            server.headers.append({name.lower(): value for name, value in ask.headers.items()})
        try:
            time.sleep(server.wait)
            _answer(ask, server)
        except (BrokenPipeError, ConnectionResetError):
            ask.close_connection = True
        finally:
            with lock:
                under_way[0] -= 1

    with run_server(answer, context) as server.url:
        yield server


def _answer(ask: BaseHTTPRequestHandler, server: Server) -> None:
    if not ask.headers.get("Range") and (held := [part for part in server.holds if part in ask.path]):
        server.holds = tuple(part for part in server.holds if part not in held)
        select.select([ask.connection], [], [], HANG)
        ask.close_connection = True
        return None
    path = server.folder / unquote(ask.path.partition("?")[0]).lstrip("/")
    part = _RANGE.fullmatch(ask.headers.get("Range", ""))
    if server.login and ask.headers.get("Authorization") != server.login:
        return _send(ask, 401, b"", **{"WWW-Authenticate": 'Basic realm="x"'})
    if server.mode.startswith("redirect") and (part or "all" in server.mode) and "?" not in ask.path:
        return _send(ask, 302, b"", Location=server.target or f"{ask.path}?again")
    if server.mode == "not modified" and "If-None-Match" in ask.headers:
        return _send(ask, 304, b"")
    if server.mode == "endless":
        return _send(ask, 302, b"", Location=f"{ask.path}x")
    if server.mode.isdigit() and part:
        return _send(ask, int(server.mode), b"no")
    if not path.is_file():
        return _send(ask, 404, b"")
    content = path.read_bytes()
    if part and server.mode == "shows another":
        content = path.with_name("shown").read_bytes().ljust(len(content), b"\0")[: len(content)]
    return _file(ask, server, path, content)


def _file(ask: BaseHTTPRequestHandler, server: Server, path: Path, content: bytes) -> None:
    part = _RANGE.fullmatch(ask.headers.get("Range", ""))
    if server.mode == "breaks off" and path.name.endswith((".gpkg.tar", ".xpak")) and not part:
        return _send(ask, 200, content[: server.rest], length=len(content))
    if not part or server.mode == "no range":
        return _send(ask, 200, content)
    start, end = int(part[1]), min(int(part[2] or len(content)) + 1, len(content))
    if start >= len(content):
        return _send(ask, 416, b"", **{"Content-Range": f"bytes */{len(content)}"})
    return _part(ask, server, content, start, end)


def _part(ask: BaseHTTPRequestHandler, server: Server, content: bytes, start: int, end: int) -> None:
    if server.mode == "silent":
        time.sleep(2)
    if server.mode == "drip headers":
        for sign in b"HTTP/1.1 206 OK\r\n":
            ask.wfile.write(bytes([sign]))
            time.sleep(0.2)
    body, told = content[start:end], f"bytes {start}-{end - 1}/{len(content)}"
    server.sent[ask.path] = server.sent.get(ask.path, 0) + len(body)
    lies = {
        "other part": {"Content-Range": f"bytes {start + 1}-{end}/{len(content)}"},
        "other size": {"Content-Range": f"{told}5"},
        "no content-range": {},
        "gzip": {"Content-Range": told, "Content-Encoding": "gzip"},
    }
    headers = lies.get(server.mode, {"Content-Range": told})
    length = len(body) if server.mode == "too little" else -1
    if server.mode == "too much":
        body = body.ljust(50_000_000)
    elif server.mode == "too little":
        body = body[: len(body) // 2]
    return _send(ask, 206, body, length=length, pause=0.2 if server.mode == "drip" else 0, **headers)


def _send(
    ask: BaseHTTPRequestHandler, status: int, body: bytes, *, length: int = -1, pause: float = 0, **headers: str
) -> None:
    ask.send_response(status)
    ask.send_header("Content-Length", str(length if length >= 0 else len(body)))
    for name, value in headers.items():
        ask.send_header(name, value)
    ask.end_headers()
    step = 1 if pause else 1 << 16
    body = body[:20] if pause else body
    for start in range(0, len(body), step):
        ask.wfile.write(body[start : start + step])
        time.sleep(pause)
    ask.close_connection = length >= 0 or pause > 0
