# SPDX-License-Identifier: GPL-2.0-or-later
"""What the server of a binhost does not let itself be drawn into."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.binhost_server import INDEX, NAME, Server, binhost
from helpers.waiting import HANG, wait_for

from gentoomuch_portage.binhost.server import http

pytest.importorskip("aiohttp")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A binhost of one package, and things beside it that nobody may have."""
    with binhost(tmp_path_factory.mktemp("serve")) as one:
        yield one


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.gpkg.tar", "/%2e%2e/outside.gpkg.tar", "/..%2foutside.gpkg.tar", "//outside.gpkg.tar",
        "/dev-demo/../../outside.gpkg.tar", "/link.gpkg.tar", "/pipe.gpkg.tar", "/.secret.gpkg.tar", "/notes.txt",
        "/Packages%00.gz", f"{NAME}%00", "/%ff%fe.gpkg.tar", "/dev-demo", "/dev-demo/one/", "/key.asc",
        "/a" * 2000 + ".gpkg.tar",
    ],
)  # fmt: skip
def test_nothing_but_the_files_of_a_binhost_is_given_out(server: Server, path: str):
    status, _, body = server.ask(path)

    assert (status, b"secret" in body) == (404, False)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /Packages HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
        b"GET /" + b"y" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /Packages HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
        b"\x00" * 100_000,
        b"\x16\x03\x01" + b"\xff" * 500,
        b"GET /Packages\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /Packages HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
        b"GET /Packages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["header", "path", "headers", "nul", "tls", "nul in path", "post", "smuggling"],
)
def test_invalid_requests_are_rejected_without_using_memory(server: Server, request_: bytes):
    found = [server.raw(request_)[:12] for _ in range(60)]

    assert all(one == b"" or one[9:10] in {b"4", b"5"} for one in found), found
    assert server.memory() < 80 << 10
    assert server.ask("/Packages")[0] == 200


@pytest.mark.parametrize(("many", "status"), [(10_000, {"", "400"}), (900, {"200"})])
def test_ten_thousand_ranges_are_no_ranges(server: Server, many: int, status: set[str]):
    ranges = ",".join(f"{at}-{at}" for at in range(many))

    request_ = f"HEAD {NAME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: bytes={ranges}\r\n\r\n"
    found = server.raw(request_.encode(), ends=False)

    assert found[9:12].decode() in status
    assert server.ask("/Packages")[0] == 200


def test_slow_requests_are_closed_while_others_are_answered(server: Server):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    for one in slow:
        one.sendall(b"GET /Pack")
    begun, quick = time.monotonic(), server.ask("/Packages")[0]
    took = time.monotonic() - begun
    for one in slow:
        one.close()

    assert (quick, took < http._IDLE) == (200, True)


def test_an_incomplete_request_is_closed_after_a_timeout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(http, "_IDLE", 0.4)
    (tmp_path / "Packages").write_bytes(INDEX)

    assert served(tmp_path, is_closed_while_sending)


def test_a_client_that_reads_more_slowly_than_the_minimum_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(http, "_IDLE", 0.4)
    monkeypatch.setattr(http, "_MIN_RATE", 1 << 30)
    with (tmp_path / "long.gpkg.tar").open("wb") as file:
        file.truncate(256 << 20)

    assert served(tmp_path, is_closed_while_reading_nothing)


def served(folder: Path, client: Callable[[tuple[str, int], Callable[[], int]], bool]) -> bool:
    """What a client returns that runs in a thread while this process serves a directory."""
    site = http.Site(root=folder, prepared=folder / "no", key=folder / "no", name="x")

    async def serve() -> bool:
        binhost = http.BinhostServer(site, lambda _line: None)
        await binhost.runner.setup()
        listener = await asyncio.get_running_loop().create_server(binhost.runner.server, "127.0.0.1", 0)
        sweeping = asyncio.create_task(binhost.close_slow())

        def connections() -> int:
            return len(binhost.runner.server.connections)

        result = await asyncio.to_thread(client, listener.sockets[0].getsockname(), connections)
        sweeping.cancel()
        listener.close()
        await binhost.runner.cleanup()
        return result

    return asyncio.run(serve())


def test_a_disconnecting_client_does_not_end_a_worker(server: Server):
    (server.www / "long.gpkg.tar").write_bytes(bytes(32 << 20))
    workers = server.workers()
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.sendall(b"GET /long.gpkg.tar HTTP/1.1\r\nHost: x\r\n\r\n")
            one.recv(1000)
            one.shutdown(socket.SHUT_WR)  # after which the kernel answers a write with SIGPIPE

    assert server.ask("/Packages")[0] == 200
    assert server.workers() == workers


def is_closed_while_sending(address: tuple[str, int], _connections: Callable[[], int]) -> bool:
    """Send a request that never ends, a character at a time; whether the server closes the connection."""
    ends = time.monotonic() + HANG
    with socket.create_connection(address) as one:
        while time.monotonic() < ends:
            try:
                one.sendall(b"G")
            except OSError:
                return True
            time.sleep(0.05)
    return False


def is_closed_while_reading_nothing(address: tuple[str, int], connections: Callable[[], int]) -> bool:
    """Request a file that no buffer has room for, and read none of it; whether the server closes the connection."""
    with socket.create_connection(address) as one:
        one.sendall(b"GET /long.gpkg.tar HTTP/1.1\r\nHost: x\r\n\r\n")
        one.recv(1)
        wait_for(lambda: connections() == 0, "the server closes the connection")
    return True


def test_the_access_log_cannot_be_forged(server: Server):
    server.ask("/nowhere%0a1.2.3.4")
    server.ask("/Packages", Range="bytes=0-3")

    wait_for(lambda: server.log.read_text().endswith('"bytes=0-3"\n'), "both requests are logged")
    lines = server.log.read_text().splitlines()

    assert any('"GET /nowhere%0a1.2.3.4 HTTP/1.1" 404' in line for line in lines)
    assert any(line.endswith('"GET /Packages HTTP/1.1" 206 4 "bytes=0-3"') for line in lines)
    assert all(line.startswith("127.0.0.1 - - [") for line in lines)


@pytest.mark.parametrize("ours", [False, True])
def test_invalid_http_is_logged_in_one_line_and_bugs_with_traceback(ours: bool, capsys):
    from aiohttp.http_exceptions import BadHttpMessage

    http.make_logger().error("error of %s", "10.0.0.1", exc_info=OSError("full") if ours else BadHttpMessage("a"))

    told = capsys.readouterr().err
    assert told.startswith("error of 10.0.0.1")
    assert ("OSError: full" in told, told.count("\n") > 1) == (ours, ours)
