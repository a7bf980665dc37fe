# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages on binhosts: read by ranges, from servers good and bad, and each only as far as it is needed."""

import random
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.http_server import Server, serving
from helpers.packages import PLAIN, WANTED, gpkg, xpak
from helpers.remote_packages import binpkg, place

from gentoomuch_portage.binpkg.formats import BadBinpkg
from gentoomuch_portage.binpkg.http import (
    BadRedirect,
    BinpkgUnreadable,
    Pools,
    Timeouts,
    next_url,
    proxy_of_environment,
)
from gentoomuch_portage.binpkg.metadata import MetadataReader
from gentoomuch_portage.portage_adapter.binpkg import Place

TOLD = {"CFLAGS": "-O2 -march=haswell", "CXXFLAGS": "-O2", "CHOST": "x86_64-pc-linux-gnu"}
HASTY = Timeouts(connect=0.5, silence=0.5, total=1.0)
PATIENT = Timeouts(connect=30, silence=30, total=120)
"""Of tests in which the server answers: a busy machine is no reason to fail."""
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
def fresh(tmp_path: Path) -> Iterator[Callable[..., MetadataReader]]:
    """Makes the reader of a new run."""
    made = []

    def make(proxy: str = "", patience: Timeouts = PATIENT) -> MetadataReader:
        made.append(Pools(lambda url: proxy, patience))
        return MetadataReader(tmp_path / "cache", WANTED, made[-1])

    yield make
    for pools in made:
        pools.close()


@pytest.fixture
def reader(fresh) -> MetadataReader:
    return fresh()


@pytest.fixture
def hasty(fresh) -> MetadataReader:
    """The reader of a run with little patience."""
    return fresh(patience=HASTY)


@pytest.mark.parametrize("name", ["p.gpkg.tar", "p.xpak"])
def test_of_a_remote_package_at_most_64_kib_are_read(good: Server, reader: MetadataReader, name):
    assert reader.read(binpkg(place(good, name))) == TOLD
    assert 0 < good.sent[f"/{name}"] <= 64 << 10


@pytest.mark.parametrize("name", ["p.gpkg.tar", "p.xpak"])
def test_metadata_is_cached_for_later_runs(good: Server, fresh, name):
    fresh().read(binpkg(place(good, name)))
    asked = len(good.asked)

    assert fresh().read(binpkg(place(good, name))) == TOLD
    assert len(good.asked) == asked


def test_another_digest_is_another_package(good: Server, reader: MetadataReader):
    first = place(good, "p.gpkg.tar")
    reader.read(binpkg(first))
    (good.folder / "p.gpkg.tar").write_bytes(gpkg({"CFLAGS": b"-O3"}))

    fresh = Place(first.url, (good.folder / "p.gpkg.tar").stat().st_size, (("SHA1", "other"),))
    assert reader.read(binpkg(fresh)) == {"CFLAGS": "-O3"}


def test_cached_metadata_of_one_binhost_is_not_used_for_another(good: Server, reader: MetadataReader, tmp_path: Path):
    (tmp_path / "other").mkdir()
    size = (good.folder / "p.gpkg.tar").stat().st_size
    (tmp_path / "other/p.gpkg.tar").write_bytes(gpkg({"CFLAGS": b"-O1"}).ljust(size, b"\0"))

    with serving(tmp_path / "other") as liar:
        assert reader.read(binpkg(place(liar, "p.gpkg.tar"))) == {"CFLAGS": "-O1"}
    assert reader.read(binpkg(place(good, "p.gpkg.tar"))) == TOLD


def test_a_package_without_size_in_the_index_is_read(good: Server, reader: MetadataReader):
    assert reader.read(binpkg(place(good, "p.xpak", size=0))) == TOLD


def test_a_package_without_a_digest_is_read_each_time(good: Server, fresh):
    bare = Place(place(good, "p.xpak").url, place(good, "p.xpak").size, ())
    fresh().read(binpkg(bare))
    asked = len(good.asked)

    fresh().read(binpkg(bare))

    assert len(good.asked) > asked


@pytest.mark.parametrize("mode", ["redirect", "redirect all"])
def test_a_redirect_is_followed(folder: Path, reader: MetadataReader, mode):
    with serving(folder, mode) as server:
        assert reader.read(binpkg(place(server, "p.gpkg.tar"))) == TOLD


def test_without_ranges_a_gpkg_is_read_from_its_beginning(folder: Path, reader: MetadataReader):
    with serving(folder, "no range") as server:
        assert reader.read(binpkg(place(server, "p.gpkg.tar"))) == TOLD
        assert len(server.asked) == 1


def test_without_ranges_a_small_xpak_is_read_completely(folder: Path, reader: MetadataReader):
    with serving(folder, "no range") as server:
        assert reader.read(binpkg(place(server, "small.xpak"))) == TOLD


@pytest.mark.parametrize(
    ("mode", "name", "why"),
    [
        ("no range", "p.xpak", "does not support ranges, and the file is too long"),
        ("endless", "p.xpak", "redirects too often"),
        ("404", "p.xpak", "answers 404"),
        ("403", "p.gpkg.tar", "answers 403"),
        ("503", "p.gpkg.tar", "answers 503"),
        ("416", "p.gpkg.tar", "answers 416"),
        ("other part", "p.gpkg.tar", "sends another part"),
        ("no content-range", "p.gpkg.tar", "sends another part"),
        ("other size", "p.gpkg.tar", r"it has \d+ bytes, but \d+ in its index"),
        ("gzip", "p.gpkg.tar", "compresses files"),
        ("too little", "p.gpkg.tar", "broke"),
        ("silent", "p.gpkg.tar", "did not answer in time"),
        ("drip", "p.gpkg.tar", "too slow"),
        ("drip headers", "p.gpkg.tar", "too slow"),
    ],
)
def test_a_server_that_misbehaves_is_given_up_with_its_reason(folder: Path, fresh, mode, name, why):
    waits = mode in {"silent", "drip", "drip headers"}
    reader = fresh(patience=HASTY if waits else PATIENT)

    with serving(folder, mode) as server, pytest.raises(BinpkgUnreadable, match=why):
        reader.read(binpkg(place(server, name)))


def test_no_more_than_the_requested_range_is_read(folder: Path, reader: MetadataReader):
    with serving(folder, "too much") as server:
        assert reader.read(binpkg(place(server, "p.gpkg.tar"))) == TOLD


def test_a_size_in_the_index_beyond_the_file_is_rejected(good: Server, reader: MetadataReader):
    with pytest.raises(BinpkgUnreadable, match="in its index"):
        reader.read(binpkg(place(good, "p.xpak", size=9_000_000)))


def test_a_hostile_package_of_a_binhost_is_rejected_and_not_cached(good: Server, reader: MetadataReader, fresh):
    (good.folder / "bad.gpkg.tar").write_bytes(b"x" * 5000)

    with pytest.raises(BadBinpkg, match="not a tar archive"):
        reader.read(binpkg(place(good, "bad.gpkg.tar")))
    (good.folder / "bad.gpkg.tar").write_bytes(gpkg({"CFLAGS": b"-O1"}))
    assert fresh().read(binpkg(place(good, "bad.gpkg.tar"))) == {"CFLAGS": "-O1"}


@pytest.mark.parametrize("mode", ["silent", "drip headers"])
def test_a_dead_binhost_is_tried_once_per_run(folder: Path, hasty: MetadataReader, mode):
    with serving(folder, mode) as server:
        for name in ("p.gpkg.tar", "p.xpak", "small.xpak"):
            with pytest.raises(BinpkgUnreadable):
                hasty.read(binpkg(place(server, name)))

    assert len(server.asked) == 1


def test_another_binhost_of_the_same_machine_is_not_dead(folder: Path, good: Server, fresh):
    reader = fresh(patience=Timeouts(connect=30, silence=1.5, total=120))
    with serving(folder, "silent") as server, pytest.raises(BinpkgUnreadable):
        reader.read(binpkg(place(server, "p.gpkg.tar")))

    assert reader.read(binpkg(place(good, "p.gpkg.tar"))) == TOLD


def test_a_closed_port_is_reported_at_once(reader: MetadataReader):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(BinpkgUnreadable, match="cannot connect"):
        reader.read(binpkg(Place(f"http://127.0.0.1:{port}/p.xpak", 100, ())))


@pytest.mark.parametrize("scheme", ["ftp", "ssh", "sftp", "s3"])
def test_an_unsupported_url_scheme_is_reported(reader: MetadataReader, scheme):
    with pytest.raises(BinpkgUnreadable, match=f"{scheme}:// URLs cannot be read"):
        reader.read(binpkg(Place(f"{scheme}://host/p.xpak", 100, ())))


@pytest.mark.parametrize("begins", ["file://", ""])
def test_a_binhost_with_a_file_url_is_read_as_a_directory(folder: Path, reader: MetadataReader, begins):
    assert reader.read(binpkg(Place(f"{begins}{folder}/p.xpak", 100, ()))) == TOLD


def test_the_first_instance_is_read_first_and_the_next_four_in_parallel(folder: Path, reader: MetadataReader):
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


def test_credentials_are_not_sent_to_the_target_of_a_redirect(folder: Path, good: Server, reader: MetadataReader):
    with serving(folder, "redirect all", target=f"{good.url}/p.xpak") as server:
        url = server.url.replace("://", "://me:se%20cret@") + "/p.xpak"
        assert reader.read(binpkg(Place(url, place(good, "p.xpak").size, ()))) == TOLD

    assert server.headers[0]["authorization"] == "Basic bWU6c2UgY3JldA=="
    assert not any("authorization" in headers for headers in good.headers)


def test_an_error_does_not_contain_the_password(folder: Path, reader: MetadataReader):
    with serving(folder, "403") as server, pytest.raises(BinpkgUnreadable) as error:
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


def test_an_untrusted_certificate_is_rejected(https: str, reader: MetadataReader):
    with pytest.raises(BinpkgUnreadable, match="no valid certificate"):
        reader.read(binpkg(Place(f"{https}/p.xpak", 100, ())))


def test_a_redirect_from_https_to_http_is_not_followed(good: Server):
    with pytest.raises(BadRedirect, match=r"redirects to http://127.0.0.1"):
        next_url("https://localhost/p.xpak", f"{good.url}/p.xpak")


def test_only_the_proxy_of_the_environment_is_used(monkeypatch):
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


def test_a_file_is_requested_through_the_proxy(good: Server, fresh):
    reader = fresh(proxy=good.url)

    with pytest.raises(BinpkgUnreadable, match="answers 404"):  # this proxy knows no such URL
        reader.read(binpkg(Place("http://far.example/p.xpak", 100, ())))
    assert good.asked[0][0] == "http://far.example/p.xpak"
