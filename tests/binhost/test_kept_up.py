# SPDX-License-Identifier: GPL-2.0-or-later
"""Downloads that go on where they stopped, binhosts on one host, TLS, a key that changed, and what a server signs."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.binhost import BIN, installed, machine, open_folder, package, published, said, serving
from helpers.http_server import serving as serving_badly
from helpers.nginx import nginx
from helpers.ports import reserved_port
from helpers.waiting import wait_for

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(place: Path) -> Host:
    """A host that has built one package."""
    host = machine(place / "s")
    said(host, "emerge", "-B1q", PKG)
    return host


@pytest.fixture(scope="module")
def tree(place: Path, server: Host) -> tuple[Path, str]:
    """What it has, signed, as a static tree, and the fingerprint."""
    return place / "www", published(server, place / "www")


@pytest.fixture
def client(place: Path) -> Iterator[Host]:
    """Another host."""
    host = machine(place / "c")
    yield host
    shutil.rmtree(host.folder)


def test_an_interrupted_download_is_resumed(tree: tuple[Path, str], server: Host, client: Host):
    file = package(tree[0])
    with serving_badly(tree[0]) as bad:
        said(client, "gentoomuch", "binhost", "client", bad.url, "--fingerprint", tree[1])
        bad.mode, bad.rest = "breaks off", 5000
        said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box", ok=False)
        bad.mode = ""
        bad.asked.clear()
        said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box")

    assert (f"/{file.relative_to(tree[0])}", "bytes=5000-") in bad.asked
    assert installed(client) == {f"{PKG}-1.0"}


def test_two_binhosts_on_one_host_name_keep_their_indexes_apart(tree: tuple[Path, str], server: Host, client: Host):
    other = shutil.copytree(tree[0], tree[0].with_name("other"), ignore=shutil.ignore_patterns("*.tar", "Packages*"))
    (other / "Packages").write_text("PACKAGES: 0\nTIMESTAMP: 1900000000\nVERSION: 0\n\n")
    with serving(server, tree[0], "--no-sign") as one, serving(server, other, "--no-sign") as two:
        said(client, *two, "--fingerprint", tree[1], "--plain-index", "--priority", "9")
        said(client, *one, "--fingerprint", tree[1])
        for _ in range(2):
            said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box")
        said(client, *one, "--fingerprint", tree[1], "--system", "--yes")
        collide = said(client, *two, "--fingerprint", tree[1], "--plain-index", "--system", "--yes", ok=False)

    assert "[binhosts-collide]" in collide


def test_after_a_rotation_clients_reject_the_new_key_until_it_is_confirmed(place: Path, client: Host):
    other = machine(place / "y")
    said(other, "emerge", "-B1q", PKG)
    with reserved_port() as port:
        with serving(other, port=port) as old:
            said(client, *old)
        said(other, "gentoomuch", "binhost", "key", "--rotate")
        said(other, "gentoomuch", "binhost", "sign", "--all")
        with serving(other, port=port) as new:
            refused = said(client, *new, ok=False)
            index = said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box", ok=False)
            toml = client.config / "gentoomuch.toml"
            toml.write_text("")
            said(client, *new)
            said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box")

    assert "[other-key-pinned]" in refused
    assert f"index of {old[3]} rejected" in index
    assert installed(client) == {f"{PKG}-1.0"}


def test_nginx_and_serve_send_the_same_responses_for_a_published_directory(
    tree: tuple[Path, str], place: Path, server: Host, client: Host
):
    top = place / "published"
    said(server, "gentoomuch", "binhost", "publish", top)
    with nginx(top / "current") as url:
        said(client, "gentoomuch", "binhost", "client", url, "--fingerprint", tree[1])
        said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box")
    before = sorted((one.name, one.stat().st_mtime_ns) for one in (top / "current").iterdir())
    with serving(server, top) as command:
        said(client, *command)

    assert installed(client) == {f"{PKG}-1.0"}
    assert sorted((one.name, one.stat().st_mtime_ns) for one in (top / "current").iterdir()) == before


def test_over_tls_the_certificate_is_checked_and_the_index_is_sent(tree: tuple[Path, str], server: Host, client: Host):
    cert, key = server.folder / "cert.pem", server.folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    with serving(server, tree[0], "--no-sign", "--cert", cert, "--key", key) as command:
        strange = said(client, *command, "--fingerprint", tree[1], ok=False)
        said(client, *command, "--fingerprint", tree[1], SSL_CERT_FILE=str(cert))

    assert "no valid certificate" in strange
    assert command[3].startswith("https://")


def test_packages_built_while_serving_are_signed_and_indexed(place: Path, client: Host):
    other = machine(place / "z")
    said(other, "emerge", "-B1q", PKG)
    with serving(other) as command:
        said(client, *command)
        said(other, "emerge", "-B1q", PKG, FEATURES="binpkg-multi-instance")
        wait_for(
            lambda: "libgreet-1.0-2" in said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box"),
            "the second package is offered",
        )
        said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box")
        for file in other.pkgdir.rglob("*.gpkg.tar"):
            os.utime(file)  # so that Portage reads it again
        indexed = said(other, "gentoomuch", "binhost", "index")

    assert "2 packages" in indexed
    assert installed(client) == {f"{PKG}-1.0"}


def test_the_key_is_confirmed_at_a_terminal(tree: tuple[Path, str], server: Host, client: Host):
    with serving(server, tree[0], "--no-sign") as command:
        words = ["script", "-qec", " ".join([str(BIN / command[0]), *command[1:]]), "/dev/null"]
        no = subprocess.run(words, env=client.env(), input="n\n", text=True, capture_output=True, check=False)
        yes = subprocess.run(words, env=client.env(), input="y\n", text=True, capture_output=True, check=False)

    assert (no.returncode, yes.returncode) == (64, 0), no.stdout + yes.stdout
    assert tree[1][:4] in yes.stdout
    assert package(tree[0]).name in yes.stdout
