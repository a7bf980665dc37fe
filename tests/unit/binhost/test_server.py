# SPDX-License-Identifier: GPL-2.0-or-later
"""What the server of a binhost answers."""

import gzip
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from helpers.binhost import open_folder
from helpers.binhost_server import INDEX, NAME, PACKAGE, Server, binhost, started
from helpers.errors import raises
from helpers.processes import open_files, status
from helpers.waiting import HANG, wait_for

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.config import BinhostConfig, load_binhosts
from gentoomuch_portage.binhost.keys import Key
from gentoomuch_portage.binhost.server import files, http, index_refresh, workers
from gentoomuch_portage.cli.binhost.serve import _keep_house
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.gpg import BadKey

pytest.importorskip("aiohttp")
NEEDS_GPG = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A binhost of one package, and things beside it that nobody may have."""
    with binhost(tmp_path_factory.mktemp("serve")) as one:
        yield one


def test_a_package_is_sent_completely_and_not_again_with_its_etag(server: Server):
    status, headers, body = server.ask(NAME)
    again = server.ask(NAME, If_None_Match=headers["etag"])

    assert (status, body) == (200, PACKAGE)
    assert (again[0], again[2]) == (304, b"")


def test_browsers_get_a_page_for_their_search(server: Server):
    status, headers, body = server.ask("/?q=%3Cnothing")

    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b'value="&lt;nothing"' in body
    assert server.ask("/binhost/?q=%3Cnothing")[2] == body
    assert server.ask("/", "POST")[0] == 405


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
def test_a_range_request_gets_that_range(server: Server, asked: str, status: int, start: int, end: int):
    found = server.ask(NAME, Range=asked)

    assert (found[0], found[2]) == (status, PACKAGE[start:end])


def test_if_range_of_a_changed_file_returns_the_complete_file(server: Server):
    etag = server.ask(NAME, "HEAD")[1]["etag"]

    assert server.ask(NAME, Range="bytes=5-9", If_Range=etag)[0] == 206
    assert server.ask(NAME, Range="bytes=5-9", If_Range='"other"')[0] == 200


def test_a_request_gets_the_current_file_of_its_name(server: Server):
    package = server.www / "p-1.gpkg.tar"

    def content() -> tuple[int, bytes]:
        status, _, body = server.ask("/p-1.gpkg.tar")
        return status, body

    package.write_bytes(b"first")
    assert content() == content() == (200, b"first")
    fs.write(package, b"other")
    assert content() == content() == (200, b"other")
    package.unlink()
    assert content()[0] == 404
    package.symlink_to("/etc/passwd")
    assert content()[0] == 404


def test_no_file_stays_open_after_its_response(server: Server):
    (server.www / "p-2.gpkg.tar").write_bytes(b"x" * (4 << 20))
    (worker,) = server.workers()
    for how in ({}, {"Range": "bytes=5-9"}, {"Range": "bytes=99999999-"}, {"If_None_Match": "*"}):
        server.ask("/p-2.gpkg.tar", **how)

    wait_for(lambda: not [path for path in open_files(worker) if path.endswith("p-2.gpkg.tar")], "the file is closed")


def test_a_file_with_an_unknown_path_is_closed_and_not_served(tmp_path: Path, monkeypatch):
    (tmp_path / "p.gpkg.tar").write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))

    with monkeypatch.context() as without_proc:
        without_proc.setattr(os, "readlink", lambda _: os.stat(tmp_path / "nothing"))
        found = files.open_file(tmp_path, "p.gpkg.tar")

    assert found is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_head_sends_headers_without_a_body(server: Server):
    status, headers, body = server.ask(NAME, "HEAD")

    assert (status, headers["content-length"], body) == (200, str(len(PACKAGE)), b"")


def test_the_index_is_compressed_for_clients_that_accept_it(server: Server):
    plain, packed = server.ask("/Packages"), server.ask("/Packages", Accept_Encoding="bzip2,gzip,deflate")
    made, other = server.ask("/Packages.gz"), server.ask("/Packages", Accept_Encoding="zstd")

    assert plain[2] == INDEX == gzip.decompress(packed[2]) == gzip.decompress(made[2])
    assert packed[1]["content-encoding"] == "gzip"
    assert other[1].get("content-encoding", "zstd") == "zstd"
    assert len(other[2]) < len(INDEX)
    assert plain[1]["etag"] != packed[1]["etag"]


@NEEDS_GPG
def test_the_served_index_always_has_a_valid_signature():
    with open_folder() as folder, binhost(folder / "s", signs=True) as server:
        first = whole_index(server)
        os.kill(server.process.pid, signal.SIGSTOP)  # it has not yet signed what comes now
        wait_for(lambda: status(server.process.pid)[0] == "T", "the server is stopped")
        fs.write(server.www / "Packages", INDEX.replace(b"TIMESTAMP: 17", b"TIMESTAMP: 18") + b"DESC: more\n")
        fs.write(server.www / "Packages.gz", gzip.compress(b"of a builder"))
        between = whole_index(server)
        os.kill(server.process.pid, signal.SIGCONT)
        wait_for(lambda: whole_index(server) != first, "the new index is signed")
        after = whole_index(server)

    assert first == between
    assert [gzip.decompress(one[1]) for one in (first, after)] == [first[0], after[0]]
    assert [without_time(one[0]) for one in (first, after)] == [
        without_time(INDEX),
        without_time(INDEX) + b"DESC: more\n",
    ]
    assert time_of(first[0]) < time_of(after[0])
    assert b"BEGIN PGP SIGNATURE" in after[2]
    assert first[2] != after[2]


def test_a_signed_index_lists_signed_packages_only(tmp_path: Path, monkeypatch):
    place, prepared = tmp_path / "www/Packages", tmp_path / "prepared"
    header, signed = b"PACKAGES: 9\nTIMESTAMP: 1\n\n", b"CPV: a/b-1\nPATH: a/b-1.gpkg.tar\nSIZE: 7\n\n"
    left = b"CPV: a/c-1\nPATH: a/c-1.gpkg.tar\n\nCPV: a/d-1\nPATH: a/d/d-1-1.xpak\n\nCPV: a/e-1\nSIZE: 5\n\n"
    fs.write(place, header + signed.replace(b"7", b"5") + left)

    def settle() -> frozenset[str] | None:
        if b"SIZE: 7" in place.read_bytes():
            return frozenset({"a/c-1.gpkg.tar"})
        fs.write(place, header + signed + left)
        return None

    monkeypatch.setattr(gpg, "sign_detached", lambda home, by, file, target: target.write_bytes(file.read_bytes()))
    look = index_refresh.IndexRefresher(
        place.parent, prepared, Key(tmp_path, "F" * 40, *[tmp_path / "key.asc"] * 3), pytest.fail, settle
    )

    assert look()
    assert not list(prepared.glob("*.asc"))
    assert look()
    (shown,) = prepared.glob("*.asc")
    assert without_time(shown.read_bytes()) == without_time(header.replace(b"9", b"1") + signed)
    assert shown.stem == index_refresh.read_latest(prepared)
    assert not look()


def test_a_failed_signature_of_the_index_is_retried_and_reported_once(tmp_path: Path, monkeypatch):
    prepared, told, asked = tmp_path / "prepared", [], []

    def signed(home: Path, by: str, file: Path, target: Path) -> None:
        asked.append(file)
        if len(asked) < 3:
            raise BadKey("here", "no agent")
        target.write_bytes(b"good")

    monkeypatch.setattr(gpg, "sign_detached", signed)
    monkeypatch.setattr(index_refresh, "_RETRY", 0.01)
    fs.write(tmp_path / "www/Packages", INDEX)
    look = index_refresh.IndexRefresher(tmp_path / "www", prepared, Key(*[tmp_path / "lock"] * 5), told.append)

    for _ in range(3):
        assert (index_refresh.read_latest(prepared), [*prepared.glob("*.ready")]) == ("", [])
        look()
        time.sleep(0.02)

    assert [one.read_bytes() for one in prepared.glob("*.asc")] == [b"good"]
    assert [*prepared.glob("*.ready")]
    assert ["works again" in one for one in told] == [False, True]
    assert not look()


@NEEDS_GPG
def test_an_index_is_signed_anew_when_the_key_is_rotated(tmp_path: Path, monkeypatch):
    settings = Settings.load({"GM_STATE": str(tmp_path / "state")})
    monkeypatch.setattr(gpg, "sign_detached", lambda home, by, file, target: target.write_text(by))
    fs.write(tmp_path / "www/Packages", INDEX)
    look = index_refresh.IndexRefresher(tmp_path / "www", tmp_path / "prepared", keys.ensure_key(settings), pytest.fail)

    _keep_house(look, settings)
    (shown,) = (tmp_path / "prepared").glob("*.asc")
    first, after = shown.read_text(), keys.rotate(settings)
    _keep_house(look, settings)

    assert shown.read_text() == after.fingerprint != first
    assert not look()


def without_time(index: bytes) -> bytes:
    return re.sub(rb"TIMESTAMP: \d+", b"", index)


def time_of(index: bytes) -> int:
    return int(re.search(rb"TIMESTAMP: (\d+)", index)[1])


def whole_index(server: Server) -> list[bytes]:
    return [server.ask(f"/{name}")[2] for name in ("Packages", "Packages.gz", "Packages.asc")]


def test_the_index_is_unmodified_only_since_its_own_time_and_portages_five_seconds_later(server: Server):
    at = int((server.www / "Packages").stat().st_mtime)

    found = {later: server.ask("/Packages", If_Modified_Since=formatdate(at + later, usegmt=True))[0] for later in
             (0, 5, 3, 600, -600)}  # fmt: skip

    assert found == {0: 304, 5: 304, 3: 200, 600: 200, -600: 200}


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

    assert one.process.wait(HANG) == 0
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
    assert (found[0], one.process.wait(HANG)) == (200, 0)
    one.process.stdout.close()


def test_a_second_server_on_the_same_port_is_an_error(server: Server):
    """With a socket per worker (SO_REUSEPORT), both servers started, and each got some of the requests."""
    second = workers.ServerOptions(address="127.0.0.1", port=server.port, workers=1)

    with raises("cannot-listen"):
        workers.open_socket(second)


def test_only_names_of_binhost_files_are_accepted():
    assert (
        files.parse_name("/sys-apps/portage/portage-3.0.83-1.gpkg.tar") == "sys-apps/portage/portage-3.0.83-1.gpkg.tar"
    )
    assert files.parse_name("/dev-libs/libsigc%2B%2B/x-1.xpak") == "dev-libs/libsigc++/x-1.xpak"
    assert files.parse_name("/gm-index/names") == "gm-index/names"
    assert files.parse_name("/etc/passwd") == ""


def test_an_invalid_date_is_ignored():
    found = http.choose_range({"If-Modified-Since": "yesterday"}, size=3, etag='"a"', mtime=9)

    assert found == (200, 0, 3)


def test_an_invalid_fingerprint_is_reported_with_its_line(tmp_path: Path):
    (tmp_path / "gentoomuch.toml").write_text('strict = false\n[binhost."http://a"]\nkey = "abc"\n')
    settings = Settings.load({"GM_CONFIG": str(tmp_path)})

    with raises("bad-setting", match=r"gentoomuch.toml:3: key = 'abc' is not a fingerprint"):
        load_binhosts(settings)


def test_two_binhosts_on_one_host_have_two_names():
    names = {
        BinhostConfig(url, "", 1, True, 10).name
        for url in ("http://a:81/x", "http://a:82/x", "https://a:81/x", "http://a/81/x", "http://a:81/x/y")
    }

    assert len(names) == 5
