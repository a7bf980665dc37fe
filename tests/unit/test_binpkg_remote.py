"""Packages on binhosts: read by ranges, from servers good and bad, and each only as far as it is needed."""

import random
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from making import PLAIN, WANTED, gpkg, xpak
from placing import binpkg, place
from serving import Server, serving

from gentoomuch_portage.binpkg import http
from gentoomuch_portage.binpkg.formats import BadBinpkg
from gentoomuch_portage.binpkg.http import Patience, Pools, Unread, proxy_of_environment
from gentoomuch_portage.binpkg.metadata import Reader
from gentoomuch_portage.portage_adapter.binpkg import Place

TOLD = {"CFLAGS": "-O2 -march=haswell", "CXXFLAGS": "-O2", "CHOST": "x86_64-pc-linux-gnu"}
HASTY = Patience(connect=0.5, silence=0.5, total=1.0)
NOISE = random.Random(1).randbytes(40_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a binhost has: a gpkg and an xpak, each with 8 MB of image."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www/p.gpkg.tar").write_bytes(gpkg({"environment.bz2": NOISE, **PLAIN}, image=8_000_000))
    (tmp_path / "www/p.xpak").write_bytes(xpak({"environment.bz2": NOISE, **PLAIN}, image=8_000_000))
    (tmp_path / "www/small.xpak").write_bytes(xpak())
    return tmp_path / "www"


@pytest.fixture
def good(folder: Path) -> Iterator[Server]:
    """A server that does what it should."""
    with serving(folder) as server:
        yield server


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Reader]]:
    """Makes the reader of a new run."""
    made = []

    def make(proxy: str = "") -> Reader:
        made.append(Pools(lambda url: proxy, HASTY))
        return Reader(tmp_path / "cache", WANTED, made[-1])

    yield make
    for pools in made:
        pools.close()


@pytest.fixture
def reader(fresh) -> Reader:
    return fresh()


@pytest.mark.parametrize("name", ["p.gpkg.tar", "p.xpak"])
def test_of_a_remote_package_at_most_64_kib_are_read(good: Server, reader: Reader, name):
    assert reader.read(binpkg(place(good, name))) == TOLD
    assert 0 < good.sent[f"/{name}"] <= 64 << 10


@pytest.mark.parametrize("name", ["p.gpkg.tar", "p.xpak"])
def test_what_was_read_is_kept_for_later_runs(good: Server, fresh, name):
    fresh().read(binpkg(place(good, name)))
    asked = len(good.asked)

    assert fresh().read(binpkg(place(good, name))) == TOLD
    assert len(good.asked) == asked


def test_another_digest_is_another_package(good: Server, reader: Reader):
    first = place(good, "p.gpkg.tar")
    reader.read(binpkg(first))
    (good.folder / "p.gpkg.tar").write_bytes(gpkg({"CFLAGS": b"-O3"}))

    fresh = Place(first.url, (good.folder / "p.gpkg.tar").stat().st_size, (("SHA1", "other"),))
    assert reader.read(binpkg(fresh)) == {"CFLAGS": "-O3"}


def test_one_binhost_does_not_speak_for_the_packages_of_another(good: Server, reader: Reader, tmp_path: Path):
    (tmp_path / "other").mkdir()
    size = (good.folder / "p.gpkg.tar").stat().st_size
    (tmp_path / "other/p.gpkg.tar").write_bytes(gpkg({"CFLAGS": b"-O1"}).ljust(size, b"\0"))

    with serving(tmp_path / "other") as liar:
        assert reader.read(binpkg(place(liar, "p.gpkg.tar"))) == {"CFLAGS": "-O1"}
    assert reader.read(binpkg(place(good, "p.gpkg.tar"))) == TOLD


def test_a_package_whose_index_tells_no_size_is_read(good: Server, reader: Reader):
    assert reader.read(binpkg(place(good, "p.xpak", size=0))) == TOLD


def test_a_package_without_a_digest_is_read_each_time(good: Server, fresh):
    bare = Place(place(good, "p.xpak").url, place(good, "p.xpak").size, ())
    fresh().read(binpkg(bare))
    asked = len(good.asked)

    fresh().read(binpkg(bare))

    assert len(good.asked) > asked


@pytest.mark.parametrize("mode", ["redirect", "redirect all"])
def test_a_redirect_is_followed(folder: Path, reader: Reader, mode):
    with serving(folder, mode) as server:
        assert reader.read(binpkg(place(server, "p.gpkg.tar"))) == TOLD


def test_without_ranges_a_gpkg_is_read_from_its_beginning(folder: Path, reader: Reader):
    with serving(folder, "no range") as server:
        assert reader.read(binpkg(place(server, "p.gpkg.tar"))) == TOLD
        assert len(server.asked) == 1


def test_without_ranges_a_small_xpak_is_read_whole(folder: Path, reader: Reader):
    with serving(folder, "no range") as server:
        assert reader.read(binpkg(place(server, "small.xpak"))) == TOLD


@pytest.mark.parametrize(
    ("mode", "name", "why"),
    [
        ("no range", "p.xpak", "gives no parts of files, and it is too long"),
        ("endless", "p.xpak", "redirects without end"),
        ("404", "p.xpak", "answers 404"),
        ("403", "p.gpkg.tar", "answers 403"),
        ("503", "p.gpkg.tar", "answers 503"),
        ("416", "p.gpkg.tar", "answers 416"),
        ("other part", "p.gpkg.tar", "sends another part"),
        ("no content-range", "p.gpkg.tar", "sends another part"),
        ("other size", "p.gpkg.tar", r"it has \d+ bytes, and its index says \d+"),
        ("gzip", "p.gpkg.tar", "compresses what it sends"),
        ("too little", "p.gpkg.tar", "breaks off"),
        ("silent", "p.gpkg.tar", "does not answer in time"),
        ("drip", "p.gpkg.tar", "too slow"),
        ("drip headers", "p.gpkg.tar", "too slow"),
    ],
)
def test_a_server_that_misbehaves_costs_a_second_and_gives_its_reason(folder: Path, reader: Reader, mode, name, why):
    begun = time.monotonic()

    with serving(folder, mode) as server, pytest.raises(Unread, match=why):
        reader.read(binpkg(place(server, name)))

    assert time.monotonic() - begun < 3


def test_of_an_answer_that_is_too_long_no_more_is_read_than_was_asked_for(folder: Path, reader: Reader):
    with serving(folder, "too much") as server:
        assert reader.read(binpkg(place(server, "p.gpkg.tar"))) == TOLD


def test_a_size_in_the_index_that_is_too_large_is_refused(good: Server, reader: Reader):
    with pytest.raises(Unread, match="its index says"):
        reader.read(binpkg(place(good, "p.xpak", size=9_000_000)))


def test_a_hostile_package_of_a_binhost_is_refused_and_asked_for_again(good: Server, reader: Reader, fresh):
    (good.folder / "bad.gpkg.tar").write_bytes(b"x" * 5000)

    with pytest.raises(BadBinpkg, match="no tar archive"):
        reader.read(binpkg(place(good, "bad.gpkg.tar")))
    (good.folder / "bad.gpkg.tar").write_bytes(gpkg({"CFLAGS": b"-O1"}))
    assert fresh().read(binpkg(place(good, "bad.gpkg.tar"))) == {"CFLAGS": "-O1"}


@pytest.mark.parametrize("mode", ["silent", "drip headers"])
def test_a_dead_binhost_costs_one_timeout_and_not_one_for_each_package(folder: Path, reader: Reader, mode):
    with serving(folder, mode) as server:
        begun = time.monotonic()
        for name in ("p.gpkg.tar", "p.xpak", "small.xpak"):
            with pytest.raises(Unread):
                reader.read(binpkg(place(server, name)))

    assert time.monotonic() - begun < 2
    assert len(server.asked) == 1


def test_another_binhost_of_the_same_machine_is_not_dead(folder: Path, good: Server, reader: Reader):
    with serving(folder, "silent") as server, pytest.raises(Unread):
        reader.read(binpkg(place(server, "p.gpkg.tar")))

    assert reader.read(binpkg(place(good, "p.gpkg.tar"))) == TOLD


def test_a_port_where_nobody_listens_is_said_at_once(reader: Reader):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(Unread, match="cannot be reached"):
        reader.read(binpkg(Place(f"http://127.0.0.1:{port}/p.xpak", 100, ())))


@pytest.mark.parametrize("scheme", ["ftp", "ssh", "sftp", "s3"])
def test_what_cannot_be_looked_into_is_said_with_its_scheme(reader: Reader, scheme):
    with pytest.raises(Unread, match=f"behind {scheme}:// cannot be looked into"):
        reader.read(binpkg(Place(f"{scheme}://host/p.xpak", 100, ())))


@pytest.mark.parametrize("begins", ["file://", ""])
def test_a_binhost_in_a_folder_is_read_as_a_folder(folder: Path, reader: Reader, begins):
    assert reader.read(binpkg(Place(f"{begins}{folder}/p.xpak", 100, ()))) == TOLD


def test_the_first_instance_is_read_alone_and_the_next_four_at_once(folder: Path, reader: Reader):
    for number in range(10):
        (folder / f"{number}.xpak").write_bytes(xpak())
    with serving(folder, wait=0.2) as server:
        places = tuple(place(server, f"{number}.xpak") for number in range(10))
        reader.read(binpkg(places[0], places))
        alone = server.files()
        reader.read(binpkg(places[1], places))

        assert alone == ["/0.xpak"]
        assert sorted(server.files()) == [f"/{number}.xpak" for number in range(5)]
        assert server.together == 4


def test_name_and_password_go_to_the_binhost_and_not_where_it_redirects_to(folder: Path, good: Server, reader: Reader):
    with serving(folder, "redirect all", target=f"{good.url}/p.xpak") as server:
        url = server.url.replace("://", "://me:se%20cret@") + "/p.xpak"
        assert reader.read(binpkg(Place(url, place(good, "p.xpak").size, ()))) == TOLD

    assert server.headers[0]["authorization"] == "Basic bWU6c2UgY3JldA=="
    assert not any("authorization" in headers for headers in good.headers)


def test_an_error_does_not_tell_the_password(folder: Path, reader: Reader):
    with serving(folder, "403") as server, pytest.raises(Unread) as error:
        reader.read(binpkg(Place(server.url.replace("://", "://me:secret@") + "/p.xpak", 100, ())))

    assert "secret" not in error.value.message


@pytest.fixture
def https(good: Server, tmp_path: Path) -> Iterator[str]:
    """The URL of a server whose certificate nobody vouches for; it answers nothing."""
    names = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert"), "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with serving(good.folder, context=context) as server:
        yield server.url.replace("http://127.0.0.1", "https://localhost")


def test_a_certificate_that_nobody_vouches_for_is_refused(https: str, reader: Reader):
    with pytest.raises(Unread, match="no certificate that holds"):
        reader.read(binpkg(Place(f"{https}/p.xpak", 100, ())))


def test_a_redirect_from_https_to_http_is_not_followed(https, good: Server, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
    file = http._File(Pools(proxy_of_environment), f"{https}/p.xpak", 100)

    with pytest.raises(Unread, match=r"redirects to http://127.0.0.1"):
        file._next(f"{https}/p.xpak", f"{good.url}/p.xpak")


def test_a_proxy_is_taken_where_the_environment_names_one_and_nowhere_else(monkeypatch):
    for name in (
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "NO_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    assert proxy_of_environment("http://host/p") == ""

    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("all_proxy", "socks5://other:1")
    monkeypatch.setenv("no_proxy", "localhost,.lan")

    assert proxy_of_environment("http://host/p") == "http://proxy:3128"
    assert proxy_of_environment("https://host/p") == ""
    assert proxy_of_environment("http://box.lan:8080/p") == ""


def test_a_proxy_is_asked_for_the_file(good: Server, fresh):
    reader = fresh(proxy=good.url)

    with pytest.raises(Unread, match="answers 404"):  # this proxy knows no such URL
        reader.read(binpkg(Place("http://far.example/p.xpak", 100, ())))
    assert good.asked[0][0] == "http://far.example/p.xpak"
