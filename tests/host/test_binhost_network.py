# SPDX-License-Identifier: GPL-2.0-or-later
"""A client and its binhost: what it trusts, what it refuses, and where it turns then."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.binhost import flipped, installed, machine, open_folder, package, published, said, serving

from gentoomuch_portage import gpg
from gentoomuch_portage.demo_host import Host

if not shutil.which("gpg"):
    pytest.skip("gpg is not installed", allow_module_level=True)
pytest.importorskip("aiohttp")
PKG = "dev-demo/libgreet"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(place: Path) -> Host:
    """A host that has built one package, unsigned."""
    host = machine(place / "s")
    said(host, "emerge", "-B1q", PKG)
    return host


@pytest.fixture(scope="module")
def tree(place: Path, server: Host) -> tuple[Path, str]:
    """What it has, signed, as a static tree, and the fingerprint."""
    return place / "www", published(server, place / "www")


@pytest.fixture
def client(place: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """Another host."""
    host = machine(place / "c")
    yield host
    shutil.rmtree(host.folder)


def test_one_command_on_each_side_and_both_emerges_install_with_signatures_verified(server: Host, client: Host):
    with serving(server) as command:
        said(client, *command, "--system", "--yes")
        by_us = said(client, "gm-emerge", "-gKq1", PKG, GM_PROFILE="box")
        taken = installed(client)
        shutil.rmtree(client.vdb / "dev-demo")
        shutil.rmtree(client.eprefix / "var/cache/binhost")
        by_emerge = said(client, "emerge", "-gKq1", PKG)

    assert taken == installed(client) == {f"{PKG}-1.0"}, by_us + by_emerge
    toml = (client.config / "gentoomuch.toml").read_text()
    assert f'key = "{command[-1]}"' in toml


def test_a_package_that_differs_from_its_index_is_rejected(
    tree: tuple[Path, str], place: Path, server: Host, client: Host
):
    www, key = shutil.copytree(tree[0], place / "flipped"), tree[1]
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", key)
        flipped(package(www), 9000)
        told = said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box", ok=False)

    assert f"{PKG}-1.0 was rejected: it is not the file that its index describes" in told
    assert installed(client) == set()


@pytest.mark.slow
def test_a_package_of_a_plain_index_must_be_signed_by_the_key_of_its_binhost(
    tree: tuple[Path, str], place: Path, server: Host, client: Host
):
    other = gpg.generate_key(place / "other", "other")
    with serving(server, tree[0], "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1], "--plain-index")
        said(client, "gm-emerge", "-gKq1", PKG, GM_PROFILE="box")
        taken = installed(client)
        for folder in (client.vdb / "dev-demo", client.eprefix / "var/cache/binhost"):
            shutil.rmtree(folder)
        toml = client.config / "gentoomuch.toml"
        toml.write_text(f'{toml.read_text().replace(tree[1], other)}\n[binhost."http://b"]\nkey = "{tree[1]}"\n')
        (client.config / f"keys/{other}.asc").write_text(gpg.export_key(place / "other", other))
        told = said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box", ok=False)

    assert taken == {f"{PKG}-1.0"}
    assert f"{PKG}-1.0 was rejected: it is not signed by the key of its binhost" in told
    assert "retrying without it" in told
    assert installed(client) == set()


def test_an_index_not_signed_by_its_key_is_rejected(tree: tuple[Path, str], place: Path, server: Host, client: Host):
    www, key = shutil.copytree(tree[0], place / "index"), tree[1]
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", key)
        flipped(www / "Packages", (www / "Packages").read_bytes().index(b"SHA1: ") + 8)
        told = said(client, "gm-emerge", "-gK1", PKG, GM_PROFILE="box", ok=False)

    assert f"index of {command[-1]} rejected: its signature is not good" in told
    assert installed(client) == set()


def test_a_changed_or_different_key_is_rejected(tree: tuple[Path, str], place: Path, server: Host, client: Host):
    www, key = shutil.copytree(tree[0], place / "key"), tree[1]
    with serving(server, www, "--no-sign") as command:
        other = said(client, *command, "--fingerprint", key[::-1], ok=False)
        unconfirmed = said(client, *command, ok=False)
        flipped(www / "key.asc", 120)
        altered = said(client, *command, "--fingerprint", key, ok=False)

    assert f"it is {key}, not {key[::-1]}" in other
    assert "[key-not-confirmed]" in unconfirmed
    assert "it offers no valid key" in altered
    assert not (client.config / "keys").exists()


def test_an_unavailable_binhost_costs_one_timeout_and_the_ebuild_is_used(
    tree: tuple[Path, str], server: Host, client: Host
):
    with serving(server, tree[0], "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])

    told = said(client, "gm-emerge", "-pg", PKG, GM_PROFILE="box")

    assert told.count("cannot connect to its binhost: skipping this binhost for this run") == 1
    assert "[ebuild" in told
