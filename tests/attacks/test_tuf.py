# SPDX-License-Identifier: GPL-2.0-or-later
"""The attacks that The Update Framework lists, on a client whose binhost has a pinned key and a signed index.

Endless data and slow retrieval are in ``test_downloads.py``.

Source: https://theupdateframework.io/docs/security/
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.binhost import machine, open_folder, published, resign, said, serving
from helpers.http_server import serving as static
from helpers.realhost import RealHost

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"
OTHER = "app-demo/gm-hello"
DAY = 86400


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def corner(place: Path) -> Path:
    """A new directory in it."""
    made = Path(tempfile.mkdtemp(prefix="t", dir=place))
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def server(place: Path) -> Host:
    """A host that has built two packages."""
    host = machine(place / "s")
    said(host, "emerge", "-1q", OTHER, FEATURES="buildpkg")
    return host


@pytest.fixture(scope="module")
def stranger(place: Path, server: Host) -> Host:
    """A host that has the same packages, signed by a key of its own."""
    host = machine(place / "x")
    shutil.copytree(server.pkgdir, host.pkgdir, dirs_exist_ok=True)
    said(host, "gentoomuch", "--quiet", "binhost", "sign", "--all")
    return host


@pytest.fixture(scope="module")
def tree(place: Path, server: Host, stranger: Host) -> tuple[Path, str]:
    """What the server has, signed, as a static tree, and the fingerprint of its key."""
    return place / "www", published(server, place / "www")


@pytest.fixture
def www(tree: tuple[Path, str], place: Path) -> Iterator[Path]:
    """A tree of the server that an attacker may change."""
    copy = shutil.copytree(tree[0], place / "attacked")
    yield copy
    shutil.rmtree(copy)


@pytest.fixture(scope="module", params=["prefix", "no prefix"])
def asking(request: pytest.FixtureRequest, place: Path) -> Host | RealHost:
    """The host of the client: the demo's in a prefix, and one where ``/`` is ``/``."""
    if request.param == "prefix":
        return machine(place / "c")
    host: RealHost = request.getfixturevalue("real_host")
    host.profile("box", "")
    return host


@pytest.fixture
def client(asking: Host | RealHost) -> Iterator[Host | RealHost]:
    """A client that has never heard of any binhost."""
    yield asking
    for folder in (asking.eprefix / "var/lib/gentoomuch", asking.eprefix / "var/cache/gentoomuch"):
        shutil.rmtree(folder, ignore_errors=True)
    (asking.config / "gentoomuch.toml").unlink(missing_ok=True)


def offered(client: Host | RealHost) -> str:
    """What gm-emerge reports about a package that only a binhost may deliver."""
    return said(client, "gm-emerge", "-pG", PKG, ok=None, GM_PROFILE="box")


def is_offered(text: str, version: str = "1.0") -> bool:
    """Whether a binary package of the binhost is in the list of what would be merged."""
    return re.search(rf"\[binary.*{PKG}-{version}", text) is not None


def set_time(server: Host, www: Path, seconds: int, version: str = "1.0") -> None:
    """Let the index of a tree be of a time, signed by the server."""
    index = www / "Packages"
    text = re.sub(r"(?m)^TIMESTAMP: .*$", f"TIMESTAMP: {seconds}", index.read_text())
    index.write_text(re.sub(rf"(?m)^CPV: {PKG}-.*$", f"CPV: {PKG}-{version}", text))
    resign(server, www)


def now() -> int:
    return int(time.time())


def package(www: Path, name: str) -> Path:
    [found] = (www / name).glob("*.gpkg.tar")
    return found


def forget_cache(client: Host | RealHost) -> None:
    shutil.rmtree(client.eprefix / "var/cache/gentoomuch")


@pytest.mark.parametrize("read", ["by name", "as a whole"])
def test_rollback_an_older_signed_index_is_rejected(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost, read: str
):
    """TUF rollback, S6: last month's index with its own good signature. It succeeded on dfeccc0."""
    if read == "as a whole":  # an entry in another order, which Portage alone can read
        text = (www / "Packages").read_text()
        (www / "Packages").write_text(re.sub(rf"(CPV: {OTHER}.*\n)((?:.+\n)*?)(PATH: .*\n)", r"\3\2\1", text))
    with serving(server, www, "--no-sign") as command:
        set_time(server, www, now() - 50, "1.0")
        old = {name: (www / name).read_bytes() for name in ("Packages", "Packages.asc")}
        set_time(server, www, now(), "2.0")
        said(client, *command, "--fingerprint", tree[1])
        first = offered(client)
        for name, content in old.items():
            (www / name).write_bytes(content)
        forget_cache(client)
        replayed = offered(client)

    assert is_offered(first, "2.0"), first
    assert not is_offered(replayed), replayed
    assert "[index-rolled-back]" in replayed
    assert "--accept-older" in replayed


def test_rollback_by_the_owner_is_accepted(tree: tuple[Path, str], corner: Path, server: Host, client: Host | RealHost):
    """TUF rollback, S6: ``binhost rollback`` of an honest server publishes with a new time, so clients follow it."""
    top, url = corner / "published", ""
    said(server, "gentoomuch", "binhost", "publish", top)
    with serving(server, top) as command:
        url = command[3]
        said(client, *command)
        first = offered(client)
        away = package(server.pkgdir, PKG).rename(corner / "away.gpkg.tar")
        said(server, "gentoomuch", "binhost", "publish", top)
        without = offered(client)
        said(server, "gentoomuch", "binhost", "rollback", top)
        again = offered(client)
    away.rename(server.pkgdir / PKG / "libgreet-1.0-1.gpkg.tar")
    said(server, "gentoomuch", "binhost", "index")

    assert (is_offered(first), is_offered(without), is_offered(again)) == (True, False, True), url


def test_rollback_of_a_restored_server_can_be_accepted_by_hand(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF rollback, S6: the way out for a server that was restored from a backup."""
    with serving(server, www, "--no-sign") as command:
        set_time(server, www, now())
        said(client, *command, "--fingerprint", tree[1])
        set_time(server, www, now() - 1000)
        asked = said(client, *command[:4], "--accept-older", ok=False)
        before = offered(client)
        said(client, *command[:4], "--accept-older", "--yes")
        after = offered(client)

    assert "[not-accepted]" in asked
    assert (is_offered(before), is_offered(after)) == (False, True), before + after


def test_freeze_an_index_older_than_max_age_is_rejected_until_it_is_signed_anew(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF freeze, S6: the same index for ever. dfeccc0 had no limit of age."""
    with serving(server, www, "--no-sign") as command:
        set_time(server, www, now() - 4 * DAY)
        said(client, *command, "--fingerprint", tree[1])
        without_limit = offered(client)
        with (client.config / "gentoomuch.toml").open("a") as toml:
            toml.write("max_age = 3\n")
        frozen = offered(client)
        set_time(server, www, now() - 2 * DAY)
        fresh = offered(client)

    assert is_offered(without_limit), without_limit
    assert not is_offered(frozen), frozen
    assert "[index-too-old]" in frozen
    assert is_offered(fresh), fresh


def test_freeze_a_server_signs_an_old_index_anew_by_itself(corner: Path, server: Host, client: Host | RealHost):
    """TUF freeze, S6: serve and publish sign in time what nobody changed for weeks. dfeccc0 gave out the old time."""
    store, top = corner / "store", corner / "daily"
    shutil.copytree(server.pkgdir, store)
    index = store / "Packages"
    index.write_text(re.sub(r"(?m)^TIMESTAMP: .*$", f"TIMESTAMP: {now() - 40 * DAY}", index.read_text()))
    with serving(server, store) as command:
        said(client, *command)
        with (client.config / "gentoomuch.toml").open("a") as toml:
            toml.write("max_age = 2\n")
        served = offered(client)
    said(server, "gentoomuch", "binhost", "publish", top, "--from", store)
    unchanged = said(server, "gentoomuch", "binhost", "publish", top, "--from", store)
    again = said(server, "gentoomuch", "binhost", "publish", top, "--from", store, "--refresh", "0")

    assert is_offered(served), served
    assert "generation 1:" in unchanged
    assert "generation 2, with the content of generation 1" in again


def test_fast_forward_an_index_from_the_future_is_rejected_without_a_lockout(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF fast-forward: it needs the key, or a server whose clock was wrong by years.

    Where the future was remembered (as plain emerge does), everything that comes after is older for ever.
    """
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        set_time(server, www, now() + 10 * 365 * DAY, "2.0")
        future = offered(client)
        set_time(server, www, now(), "1.0")
        after = offered(client)

    assert not is_offered(future, "2.0"), future
    assert "[index-from-future]" in future
    assert is_offered(after), after


def test_fast_forward_without_the_key_changes_nothing(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF fast-forward: by somebody between: held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        honest = (www / "Packages").read_text()
        (www / "Packages").write_text(re.sub(r"(?m)^TIMESTAMP: .*$", f"TIMESTAMP: {now() + 9}", honest))
        forged = offered(client)
        (www / "Packages").write_text(honest)
        after = offered(client)

    assert not is_offered(forged), forged
    assert is_offered(after), after


def test_key_compromise_a_revoked_key_is_rejected_though_its_old_index_is_replayed(
    corner: Path, client: Host | RealHost
):
    """TUF key compromise, S16: dfeccc0 had no revocation, and did not report which key is offered."""
    other, top, site = machine(corner / "y"), corner / "top", corner / "site"
    said(other, "emerge", "-1q", OTHER, FEATURES="buildpkg")
    old_key = said(other, "gentoomuch", "binhost", "key").strip()
    said(other, "gentoomuch", "--quiet", "binhost", "sign")
    said(other, "gentoomuch", "binhost", "publish", top)
    with static(site) as web:
        command = ("gentoomuch", "binhost", "client", web.url)
        stolen = shutil.copytree(top / "current", site, dirs_exist_ok=True)
        said(client, *command, "--fingerprint", old_key)
        before = offered(client)
        replay = shutil.copytree(stolen, corner / "replay")

        asked = said(other, "gentoomuch", "binhost", "key", "--revoke", ok=False)
        new_key = said(other, "gentoomuch", "--quiet", "binhost", "key", "--revoke", "--yes").strip()
        said(other, "gentoomuch", "--quiet", "binhost", "sign", "--all")
        said(other, "gentoomuch", "binhost", "publish", top)
        shutil.copytree(top / "current", site, dirs_exist_ok=True)
        revoked = offered(client)

        shutil.rmtree(site)
        shutil.copytree(replay, site)
        replayed = offered(client)
        pinned_again = said(client, *command, "--fingerprint", old_key, ok=False)

        shutil.rmtree(site)
        shutil.copytree(top / "current", site)
        said(client, *command, "--fingerprint", new_key, "--new-key")
        confirmed = offered(client)

    assert "[not-revoked]" in asked
    assert new_key != old_key
    assert [is_offered(one) for one in (before, revoked, replayed, confirmed)] == [True, False, False, True]
    for fact in (old_key, new_key, f"binhost client {web.url} --new-key --fingerprint {new_key}"):
        assert fact in revoked
    assert ("[key-revoked]" in revoked, "[key-revoked]" in replayed) == (True, True)
    assert "[key-revoked]" in pinned_again


def test_key_rotation_is_reported_with_both_fingerprints_and_the_command_to_run(
    tree: tuple[Path, str], www: Path, server: Host, stranger: Host, client: Host | RealHost
):
    """S16: on dfeccc0 a client said "its signature is not good", and nothing more."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        new_key = said(stranger, "gentoomuch", "binhost", "key", "--export", www / "key.asc").strip()
        resign(stranger, www)
        text = offered(client)
        refused = said(client, *command[:4], "--fingerprint", new_key, ok=False)

    assert not is_offered(text), text
    for fact in ("[key-changed]", tree[1], new_key, "gentoomuch binhost key", f"--new-key --fingerprint {new_key}"):
        assert fact in text
    assert "[other-key-pinned]" in refused


def test_arbitrary_software_of_a_stranger_is_rejected(
    tree: tuple[Path, str], www: Path, server: Host, stranger: Host, client: Host | RealHost
):
    """TUF arbitrary software: a package that somebody else has signed. Held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        shutil.copy(package(stranger.pkgdir, PKG), package(www, PKG))
        text = said(client, "gm-emerge", "-G1", PKG, ok=False, GM_PROFILE="box")

    assert "is not the file that its index describes" in text
    assert not (client.vdb / f"{PKG}-1.0").exists()


def test_arbitrary_software_in_an_index_of_a_stranger_is_rejected(
    tree: tuple[Path, str], www: Path, server: Host, stranger: Host, client: Host | RealHost
):
    """TUF arbitrary software: an index that names it, signed by another key. Held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        resign(stranger, www)
        text = offered(client)

    assert not is_offered(text), text


def test_wrong_software_another_package_of_the_same_server_is_rejected(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF wrong software: a package that the key signed, under the name of another one. Held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        shutil.copy(package(www, OTHER), package(www, PKG))
        text = said(client, "gm-emerge", "-G1", PKG, ok=False, GM_PROFILE="box")

    assert "is not the file that its index describes" in text
    assert not (client.vdb / f"{PKG}-1.0").exists()


def test_mix_and_match_a_new_index_with_the_signature_of_an_old_one_is_rejected(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF mix-and-match: parts of two times. Held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        old = (www / "Packages.asc").read_bytes()
        set_time(server, www, now(), "2.0")
        (www / "Packages.asc").write_bytes(old)
        text = offered(client)

    assert not is_offered(text, "2.0"), text


def test_extraneous_dependencies_in_the_index_are_rejected(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF extraneous dependencies: one more RDEPEND. Held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        index = www / "Packages"
        index.write_text(index.read_text().replace(f"CPV: {PKG}-1.0\n", f"CPV: {PKG}-1.0\nRDEPEND: {OTHER}\n"))
        text = offered(client)

    assert not is_offered(text), text
    assert OTHER not in text


def test_malicious_mirror_can_deny_and_nothing_else(
    tree: tuple[Path, str], www: Path, server: Host, client: Host | RealHost
):
    """TUF malicious mirror: it gives out nothing that holds; the ebuild is built. Held on dfeccc0, too."""
    with serving(server, www, "--no-sign") as command:
        said(client, *command, "--fingerprint", tree[1])
        for file in www.rglob("*.gpkg.tar"):
            file.write_bytes(os.urandom(100))
        said(client, "gm-emerge", "-g1q", PKG, GM_PROFILE="box")

    assert (client.vdb / f"{PKG}-1.0").is_dir()
    shutil.rmtree(client.vdb / PKG.partition("/")[0])
