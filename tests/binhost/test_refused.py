# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a binhost gives out what it should not, the next source is taken, or the ebuild."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.binhost import flipped, installed, machine, open_folder, package, published, resign, said, serving
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(place: Path) -> Host:
    """A host that has built one package; ``place/unsigned.gpkg.tar`` is what it was before it was signed."""
    host = machine(place / "s")
    said(host, "emerge", "-B1q", PKG)
    shutil.copy(package(host.pkgdir), place / "unsigned.gpkg.tar")
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


def test_after_a_damaged_package_the_ebuild_is_used(tree: tuple[Path, str], place: Path, server: Host, client: Host):
    www, key = shutil.copytree(tree[0], place / "flipped"), tree[1]
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", key)
        flipped(package(www), 9000)
        told = said(client, "gm-emerge", "-g1", PKG, GM_PROFILE="box")
        shutil.rmtree(client.pkgdir)
        again = said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box", ok=False)

    assert f"{PKG}-1.0 was rejected: it is not the file that its index describes" in told
    assert "Compiling source" in told
    assert installed(client) == {f"{PKG}-1.0"}
    assert "it is not the file that its index describes (last attempt)" in again


def test_after_a_damaged_package_the_next_binhost_is_used(
    tree: tuple[Path, str], place: Path, server: Host, client: Host
):
    bad, key = shutil.copytree(tree[0], place / "bad"), tree[1]
    with serving(server, bad, "--no-sign") as first, serving(server, tree[0], "--no-sign") as second:
        said(client, *first, "--fingerprint", key, "--priority", "9")
        said(client, *second, "--fingerprint", key)
        flipped(package(bad), 9000)
        told = said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box")

    assert f"was rejected: it is not the file that its index describes ({first[3]}" in told
    assert installed(client) == {f"{PKG}-1.0"}


def test_without_an_index_the_next_binhost_is_used(tree: tuple[Path, str], place: Path, server: Host, client: Host):
    gone, key = shutil.copytree(tree[0], place / "gone", symlinks=True), tree[1]
    with serving(server, gone, "--no-sign") as first, serving(server, tree[0], "--no-sign") as second:
        said(client, *first, "--fingerprint", key, "--priority", "9")
        said(client, *second, "--fingerprint", key)
        for index in [*gone.rglob("Packages*"), *gone.rglob("gm-index")]:
            shutil.rmtree(index) if index.is_dir() else index.unlink()
        told = said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box")

    assert first[3] in told
    assert installed(client) == {f"{PKG}-1.0"}


def test_a_package_of_another_signer_in_a_valid_index_is_rejected(
    tree: tuple[Path, str], place: Path, server: Host, client: Host
):
    www, key = shutil.copytree(tree[0], place / "stranger"), tree[1]
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", key)
        shutil.copy(place / "unsigned.gpkg.tar", package(www))
        said(machine(place / "x"), "gentoomuch", "--quiet", "binhost", "sign", www)
        resign(server, www)
        told = said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box", ok=False)

    assert "its signature does not hold" in told
    assert installed(client) == set()


def test_a_dead_binhost_costs_one_timeout_however_many_packages_it_had(
    tree: tuple[Path, str], server: Host, client: Host
):
    with serving(server, tree[0], "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1], "--timeout", "2")
    begun = time.monotonic()
    told = said(client, "gm-emerge", "-g1", PKG, "app-demo/gm-hello", GM_PROFILE="box")

    assert told.count("skipping this binhost for this run") == 1
    assert installed(client) == {f"{PKG}-1.0", "app-demo/gm-hello-1.0"}
    assert time.monotonic() - begun < HANG


def test_without_fallback_a_dead_binhost_ends_the_run(tree: tuple[Path, str], server: Host, client: Host):
    with serving(server, tree[0], "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1], "--no-fallback")

    told = said(client, "gm-emerge", "-pg", PKG, GM_PROFILE="box", ok=False)

    assert "[binhost-unavailable]" in told


def test_an_entry_that_names_no_package_ends_no_run(tree: tuple[Path, str], place: Path, server: Host, client: Host):
    www, key = shutil.copytree(tree[0], place / "odd"), tree[1]
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", key)
        with (www / "Packages").open("a") as index:
            index.write("BUILD_ID: 1\nCPV: nonsense\nPATH: x.gpkg.tar\nSIZE: 1\n\n")
        resign(server, www)
        told = said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box")

    assert "has 'nonsense' for a package: ignoring the remaining entries of that index" in told
    assert "libgreet-1.0" in told


def test_an_index_that_changed_within_a_second_is_fetched_again(
    tree: tuple[Path, str], place: Path, server: Host, client: Host
):
    www, key = shutil.copytree(tree[0], place / "back"), tree[1]
    index = www / "Packages"
    old = index.read_text()
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", key)
        newer = old.replace("CPV: dev-demo/libgreet-1.0", "CPV: dev-demo/libgreet-9.0")
        index.write_text(newer)
        resign(server, www)
        first = said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box")
        index.write_text(old)
        resign(server, www)
        second = said(client, "gm-emerge", "-pG", PKG, GM_PROFILE="box")

    assert "libgreet-9.0" in first
    assert "libgreet-1.0" in second
