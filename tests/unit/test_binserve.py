"""The server of a binhost: what it answers, and what it does not let itself be drawn into."""

import asyncio
import contextlib
import gzip
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest

from gentoomuch_portage.binserve import conditions, tree, web
from gentoomuch_portage.binserve.policy import Policy

pytest.importorskip("aiohttp")
BIN = Path(sys.executable).parent
INDEX = b"PACKAGES: 0\nTIMESTAMP: 1700000000\nVERSION: 0\n\n" + b"DESC: again\n" * 500
PACKAGE = bytes(range(256)) * 4096
NAME = "/dev-demo/one/one-1-1.gpkg.tar"


@dataclass
class Server:
    """A server that runs."""

    www: Path
    port: int
    process: "subprocess.Popen[str]"
    log: Path

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        one.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            one.putheader(name.replace("_", "-"), value)
        one.endheaders()
        answer = one.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        one.close()
        return found

    def raw(self, request: bytes, *, ends: bool = True) -> bytes:
        """What comes back, to the end of the connection, for bytes that are sent as they are."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as one:
            found = b""
            try:
                one.sendall(request)
                if ends:
                    one.shutdown(socket.SHUT_WR)
                while more := one.recv(1 << 16):
                    found += more
            except OSError:
                pass  # it was dropped in the middle
            return found

    def workers(self) -> list[int]:
        """Its processes but the first."""
        file = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for _ in range(200):
            if found := file.read_text().split():
                return list(map(int, found))
            time.sleep(0.02)
        raise AssertionError("there are no workers")

    def memory(self) -> int:
        """KiB that its workers have of their own."""
        workers = self.workers()
        texts = [Path(f"/proc/{number}/smaps_rollup").read_text() for number in workers]
        return sum(int(text.split("Private_Dirty:")[1].split()[0]) for text in texts)


def started(folder: Path, www: Path) -> Server:
    words = ["--state", folder / "state", "--cache", folder / "cache", "binhost", "serve", www, "--no-sign"]
    words += ["--bind", "127.0.0.1:0", "--workers", "1", "--log", folder / "log"]
    argv = [str(BIN / "gentoomuch"), *map(str, words)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
    line = process.stdout.readline()
    return Server(www, int(line.split(":")[2].split("/")[0]), process, folder / "log")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A binhost of one package, and things beside it that nobody may have."""
    folder = tmp_path_factory.mktemp("serve")
    www = folder / "www"
    (www / "dev-demo/one").mkdir(parents=True)
    (www / "Packages").write_bytes(INDEX)
    (www / NAME[1:]).write_bytes(PACKAGE)
    (www / ".secret.gpkg.tar").write_bytes(b"secret")
    (www / "notes.txt").write_bytes(b"secret")
    (folder / "outside.gpkg.tar").write_bytes(b"secret")
    (www / "link.gpkg.tar").symlink_to("../outside.gpkg.tar")
    os.mkfifo(www / "pipe.gpkg.tar")
    one = started(folder, www)
    yield one
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(20) == 0
    one.process.stdout.close()


def test_a_package_comes_whole_and_by_its_etag_not_twice(server: Server):
    status, headers, body = server.ask(NAME)
    again = server.ask(NAME, If_None_Match=headers["etag"])

    assert (status, body) == (200, PACKAGE)
    assert (again[0], again[2]) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-99", 206, 0, 100),
        ("bytes=1000000-", 206, 1000000, len(PACKAGE)),
        ("bytes=-100", 206, len(PACKAGE) - 100, len(PACKAGE)),
        ("bytes=0-99999999999", 206, 0, len(PACKAGE)),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9-1", 200, 0, len(PACKAGE)),
        ("bytes=0-1,3-4", 200, 0, len(PACKAGE)),
        ("lines=1-2", 200, 0, len(PACKAGE)),
    ],
)
def test_a_range_is_what_was_asked_for(server: Server, asked: str, status: int, start: int, end: int):
    found = server.ask(NAME, Range=asked)

    assert (found[0], found[2]) == (status, PACKAGE[start:end])


def test_a_range_of_a_file_that_has_changed_is_the_whole_new_file(server: Server):
    etag = server.ask(NAME, "HEAD")[1]["etag"]

    assert server.ask(NAME, Range="bytes=5-9", If_Range=etag)[0] == 206
    assert server.ask(NAME, Range="bytes=5-9", If_Range='"other"')[0] == 200


def test_head_tells_of_the_body_and_sends_none(server: Server):
    status, headers, body = server.ask(NAME, "HEAD")

    assert (status, headers["content-length"], body) == (200, str(len(PACKAGE)), b"")


def test_the_index_comes_compressed_to_who_can_read_it(server: Server):
    plain, packed = server.ask("/Packages"), server.ask("/Packages", Accept_Encoding="bzip2,gzip,deflate")
    made, other = server.ask("/Packages.gz"), server.ask("/Packages", Accept_Encoding="zstd")

    assert plain[2] == INDEX == gzip.decompress(packed[2]) == gzip.decompress(made[2])
    assert packed[1]["content-encoding"] == "gzip"
    assert other[1].get("content-encoding", "zstd") == "zstd"
    assert len(other[2]) < len(INDEX)
    assert plain[1]["etag"] != packed[1]["etag"]


def test_the_index_is_unmodified_only_since_its_own_time_and_portages_five_seconds_later(server: Server):
    at = int((server.www / "Packages").stat().st_mtime)

    found = {later: server.ask("/Packages", If_Modified_Since=formatdate(at + later, usegmt=True))[0] for later in
             (0, 5, 3, 600, -600)}  # fmt: skip

    assert found == {0: 304, 5: 304, 3: 200, 600: 200, -600: 200}


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
def test_what_is_no_request_is_refused_and_costs_no_memory(server: Server, request_: bytes):
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


def test_whoever_sends_one_sign_after_the_other_is_let_go_while_others_are_answered(server: Server):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    for one in slow:
        one.sendall(b"GET /Pack")
    begun, quick = time.monotonic(), server.ask("/Packages")[0]
    took = time.monotonic() - begun
    for one in slow:
        one.close()

    assert (quick, took < 1) == (200, True)


def test_whoever_does_not_finish_a_request_in_time_is_let_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(web, "_IDLE", 0.4)
    (tmp_path / "Packages").write_bytes(INDEX)
    site = web.Site(root=tmp_path, prepared=tmp_path / "no", key=tmp_path / "no", name="x")

    async def serve() -> float:
        binhost = web.Binhost(site, lambda _line: None)
        listener = await asyncio.get_running_loop().create_server(binhost.server, "127.0.0.1", 0)
        sweeping = asyncio.create_task(binhost.sweep())
        took = await asyncio.to_thread(dripped, listener.sockets[0].getsockname())
        sweeping.cancel()
        listener.close()
        await binhost.finish(1)
        return took

    assert asyncio.run(serve()) < 2


def dripped(address: tuple[str, int]) -> float:
    """Send a request that never ends, a sign at a time; the seconds until nobody listens any more."""
    begun = time.monotonic()
    with socket.create_connection(address) as one, contextlib.suppress(OSError):
        while time.monotonic() - begun < 5:
            one.sendall(b"G")
            time.sleep(0.05)
    return time.monotonic() - begun


def test_each_answer_is_a_line_of_the_log_that_nobody_can_forge(server: Server):
    server.ask("/nowhere%0a1.2.3.4")
    server.ask("/Packages", Range="bytes=0-3")

    ends = time.monotonic() + 5
    while "bytes=0-3" not in server.log.read_text() and time.monotonic() < ends:
        time.sleep(0.01)
    lines = server.log.read_text().splitlines()

    assert any('"GET /nowhere%0a1.2.3.4 HTTP/1.1" 404' in line for line in lines)
    assert any(line.endswith('"GET /Packages HTTP/1.1" 206 4 "bytes=0-3"') for line in lines)
    assert all(line.startswith("127.0.0.1 - - [") for line in lines)


def test_a_download_under_way_ends_before_the_server_does(tmp_path: Path):
    www = tmp_path / "www"
    www.mkdir()
    (www / "Packages").write_bytes(INDEX)
    (www / "big.gpkg.tar").write_bytes(PACKAGE * 64)
    one = started(tmp_path, www)
    with socket.create_connection(("127.0.0.1", one.port)) as reader:
        reader.sendall(b"GET /big.gpkg.tar HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = len(reader.recv(100))
        (www / "big.gpkg.tar").unlink()
        one.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        while more := reader.recv(1 << 20):
            found += len(more)

    assert one.process.wait(20) == 0
    assert found > 64 * len(PACKAGE)
    one.process.stdout.close()


def test_a_worker_that_dies_is_started_again(tmp_path: Path):
    www = tmp_path / "www"
    www.mkdir()
    (www / "Packages").write_bytes(INDEX)
    one = started(tmp_path, www)
    os.kill(one.workers()[0], signal.SIGKILL)

    found = one.ask("/Packages")

    one.process.send_signal(signal.SIGTERM)
    assert (found[0], one.process.wait(20)) == (200, 0)
    one.process.stdout.close()


def test_a_name_is_that_of_a_file_of_a_binhost_or_none():
    assert tree.name_of("/sys-apps/portage/portage-3.0.83-1.gpkg.tar") == "sys-apps/portage/portage-3.0.83-1.gpkg.tar"
    assert tree.name_of("/dev-libs/libsigc%2B%2B/x-1.xpak") == "dev-libs/libsigc++/x-1.xpak"
    assert tree.name_of("/gm-index/names") == "gm-index/names"
    assert tree.name_of("/etc/passwd") == ""


def test_a_date_that_is_none_is_no_condition():
    found = conditions.answer({"If-Modified-Since": "yesterday"}, size=3, etag='"a"', mtime=9)

    assert found == (200, 0, 3)


def test_two_binhosts_on_one_host_have_two_names():
    names = {
        Policy(url, "", 1, True, 10).name
        for url in ("http://a:81/x", "http://a:82/x", "https://a:81/x", "http://a/81/x", "http://a:81/x/y")
    }

    assert len(names) == 5
