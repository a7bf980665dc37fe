# SPDX-License-Identifier: GPL-2.0-or-later
"""S4, S5, S7: hostile binhosts that send without end, too slowly, too much, or somewhere else, and who sees a password.

Each attack names its code, costs little memory and time, and the next source is taken. Those of which it is said were
seen to succeed on dfeccc0, which fetched by wget with the URL in its arguments.
"""

import base64
import gzip
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from helpers.binhost import BIN, Host, installed, machine, open_folder, package, published, said
from helpers.hostile import Server, attacking
from helpers.realhost import RealHost
from helpers.waiting import HANG

if not shutil.which("gpg"):
    pytest.skip("gpg is not installed", allow_module_level=True)
PKG = "dev-demo/libgreet"
TIMEOUT = 5
"""Seconds, while a server attacks."""
MIB = 1 << 20
PASSWORD = secrets.token_hex(8)  # other tests run beside this one
SECRET, LOGIN = f"joe:{PASSWORD}", f"Basic {base64.b64encode(f'joe:{PASSWORD}'.encode()).decode()}"
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print("MAXRSS", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


@dataclass(frozen=True)
class World:
    """What a binhost has, its key, and a client that has never met it."""

    www: Path
    key: str
    server: Host
    client: Host | RealHost

    def follow(self, server: Server, *words: str, url: str = "") -> None:
        """Make the client one of a server, which it does not know well enough to be impatient."""
        told = (url or server.url, "--fingerprint", self.key, "--timeout", "60")
        said(self.client, "gentoomuch", "binhost", "client", *told, *words)

    def attack(self, server: Server, attack: str, on: str) -> None:
        """Let a server attack a client that has become impatient."""
        toml = self.client.config / "gentoomuch.toml"
        toml.write_text(toml.read_text().replace("timeout = 60", f"timeout = {TIMEOUT}"))
        server.attack, server.on = attack, on

    def run(self, *words: str, ok: bool | None = True, **env: str) -> tuple[str, int]:
        """What gm-emerge prints, and the most memory of its processes, in bytes."""
        if isinstance(self.client, RealHost):
            real = self.client.run("python3", "-c", MEASURE, "gm-emerge", *words, GM_PROFILE="box", **env)
            return real.out + real.err, int(re.findall(r"MAXRSS (\d+)", real.out)[-1]) * 1024
        argv = [sys.executable, "-c", MEASURE, str(BIN / "gm-emerge"), *words]
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
        env = self.client.env(GM_PROFILE="box", **env)
        ended = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, timeout=HANG, check=False, **told)
        assert ok is None or (ended.returncode == 0) is ok, ended.stdout
        return ended.stdout, int(re.findall(r"MAXRSS (\d+)", ended.stdout)[-1]) * 1024

    def fetched(self) -> list[Path]:
        """The files of the client's caches of binary packages."""
        folders = (self.client.eprefix / "var/cache/binhost", self.client.pkgdir)
        return [file for folder in folders for file in folder.rglob("*") if file.is_file()]


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[Path, Host, str]]:
    """A folder that all may enter, a host that has built a package, and the key that signed it."""
    with open_folder() as folder:
        server = machine(folder / "s")
        said(server, "emerge", "-B1q", PKG)
        shutil.copytree(server.pkgdir, folder / "unsigned")
        yield folder, server, published(server, folder / "www")


@pytest.fixture
def world(built: tuple[Path, Host, str]) -> Iterator[World]:
    folder, server, key = built
    www = shutil.copytree(folder / "www", folder / "attacked")
    (www / "Packages.gz").write_bytes(gzip.compress((www / "Packages").read_bytes()))
    client = machine(folder / "c")
    yield World(www, key, server, client)
    shutil.rmtree(client.folder)
    shutil.rmtree(www)


@pytest.fixture(params=["prefix", "no prefix"])
def either_world(request: pytest.FixtureRequest, world: World) -> Iterator[World]:
    """The same with the demo's client, and with one where ``/`` is ``/``."""
    if request.param == "prefix":
        yield world
        return
    host: RealHost = request.getfixturevalue("real_host")
    host.profile("box", "")
    yield replace(world, client=host)
    for path in ("lib/gentoomuch", "cache/gentoomuch", "cache/binhost", "cache/binpkgs"):
        shutil.rmtree(host.root / "var" / path, ignore_errors=True)
    (host.config / "gentoomuch.toml").unlink()


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("endless", "index-rejected"),
        ("bomb", "index-rejected"),
        ("trickle", "binhost-unavailable"),
    ],
)
def test_a_hostile_index_costs_little_and_the_ebuild_is_used(either_world: World, attack: str, code: str):
    """S7: on dfeccc0 an index without end and a bomb took 2 GiB, and a trickle three minutes.

    tests/unit/binhost/test_fetch.py has the other ways to hold a client.
    """
    world = either_world
    with attacking(world.www) as server:
        world.follow(server)
        shutil.rmtree(world.client.eprefix / "var/cache/gentoomuch/binhosts", ignore_errors=True)
        world.attack(server, attack, "Packages.gz")
        out, memory = world.run("-pg", PKG)

    assert f"[{code}]" in out, out
    assert "[ebuild" in out, out
    assert memory < 150 * MIB
    assert server.sent < 300 * MIB
    assert max(server.stayed) < 3 * TIMEOUT
    assert len(server.stayed) <= 6


def test_an_index_much_longer_than_the_last_one_is_rejected(world: World):
    """S7: endless data within the limit for an index that is fetched for the first time; taken on dfeccc0."""
    with attacking(world.www) as server:
        world.follow(server)
        world.run("-pg", PKG)
        world.attack(server, "endless", "Packages.gz")
        out, _ = world.run("-pg", PKG)

    assert "[index-rejected]" in out, out
    assert server.sent < 80 * MIB


def test_a_new_index_with_an_old_signature_is_fetched_once_and_the_ebuild_is_used(world: World):
    """TUF mix-and-match: rejected on dfeccc0 as well, but after five downloads of both."""
    with attacking(world.www) as server:
        world.follow(server)
        index = world.www / "Packages"
        index.write_text(index.read_text().replace("libgreet-1.0", "libgreet-9.0"))
        (world.www / "Packages.gz").write_bytes(gzip.compress(index.read_bytes()))
        server.asked.clear()
        out, _ = world.run("-pg", PKG)

    assert "[index-rejected]" in out, out
    assert "[ebuild" in out, out
    assert len([path for path in server.asked if path == "/Packages.asc"]) <= 6


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("endless", "download-too-long"),
        ("trickle", "download-too-slow"),
        ("flipped", "package-rejected"),
    ],
)
def test_a_hostile_package_costs_little_and_the_ebuild_is_used(either_world: World, attack: str, code: str):
    """S4: on dfeccc0 all that a server sent was written to disk and kept, and a trickle was waited for without end."""
    world = either_world
    size = package(world.www).stat().st_size
    with attacking(world.www) as server:
        world.follow(server)
        world.attack(server, attack, ".gpkg.tar")
        out, memory = world.run("-gf1", PKG)

    assert f"[{code}]" in out, out
    assert memory < 150 * MIB
    assert sum(file.stat().st_size for file in world.fetched()) < size + 64 * 1024
    assert not [file for file in world.fetched() if "_checksum_failure_" in file.name]
    assert max(server.stayed) < 3 * TIMEOUT
    assert len(server.stayed) == 1


def test_after_an_endless_package_the_next_binhost_is_used_in_the_same_run(world: World):
    """S4: on dfeccc0 the disk was filled first."""
    good = shutil.copytree(world.www, world.www.with_name("good"))
    with attacking(world.www) as bad, attacking(good) as other:
        world.follow(bad, "--priority", "9")
        world.follow(other)
        world.attack(bad, "endless", ".gpkg.tar")
        out, _ = world.run("-gK1", PKG)
    shutil.rmtree(good)

    assert "[download-too-long]" in out
    assert installed(world.client) == {f"{PKG}-1.0"}


def test_a_package_that_was_fetched_ahead_with_wrong_digests_is_not_fetched_again(world: World):
    """S4: never again what cannot change; dfeccc0 fetched it twice, and kept both files."""
    with attacking(world.www) as server:
        world.follow(server)
        world.attack(server, "flipped", ".gpkg.tar")
        out, _ = world.run("-g1", PKG, "app-demo/gm-hello", FEATURES="parallel-fetch")

    assert len(server.stayed) == 1
    assert "[package-rejected]" in out, out
    assert not [file for file in world.fetched() if "_checksum_failure_" in file.name or file.suffix == ".partial"]
    assert f"{PKG}-1.0" in installed(world.client)


def test_name_and_password_do_not_follow_a_redirect_to_another_host(world: World):
    """S5: they are for that binhost alone."""
    other = shutil.copytree(world.www, world.www.with_name("elsewhere"))
    with attacking(other) as foreign, attacking(world.www, login=LOGIN, target=foreign.url) as server:
        world.follow(server, url=server.url.replace("://", f"://{SECRET}@"))
        server.attack, server.on = "away", ".gpkg.tar"
        world.run("-gK1", PKG)
    shutil.rmtree(other)

    assert set(server.authorized) == {LOGIN}
    assert foreign.asked
    assert set(foreign.authorized) == {""}
    assert installed(world.client) == {f"{PKG}-1.0"}


@contextmanager
def watched() -> Iterator[dict[str, bytes]]:
    """Command lines and environments of all processes while the block runs, by process and file."""
    seen: dict[str, bytes] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            for folder in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        content = (folder / name).read_bytes()
                    except OSError:
                        continue
                    seen[f"{folder.name}/{name}/{hash(content)}"] = content

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("pinned", [True, False], ids=["with a key", "of binrepos.conf"])
@pytest.mark.parametrize("words", [("-gK1", PKG), ("-pfgK", PKG)], ids=["install", "print"])
def test_the_password_of_a_binhost_is_in_no_output_or_process(world: World, pinned: bool, words: tuple[str, ...]):
    """S5: on dfeccc0 it was in the arguments of wget, on the terminal, and in the log of the fetch."""
    www = world.www if pinned else world.www.with_name("unsigned")
    with attacking(www, "slow", ".gpkg.tar", login=LOGIN, pause=0.2) as server:
        url = server.url.replace("://", f"://{SECRET}@")
        if pinned:
            server.attack = ""
            world.follow(server, url=url)
            server.attack = "slow"
        else:
            world.client.write("binrepos.conf", f"[tower]\nsync-uri = {url.replace('%', '%%')}\n")
            (world.client.etc / "binrepos.conf").chmod(0o600)
        with watched() as seen:
            out, _ = world.run(*words)

    assert any(b"fetch_helper.py" in one for one in seen.values()) or "-gK1" not in words
    assert not [name for name, content in seen.items() if PASSWORD.encode() in content]
    assert PASSWORD not in out
    # The user's own file, and its copy in the configroot.
    known = {"gentoomuch.toml"} if pinned else {"binrepos.conf", "0-host"}
    assert {file.name for file in telling(world.client)} <= known
    assert not [file for file in telling(world.client) if file.stat().st_mode & 0o077]
    assert installed(world.client) == ({f"{PKG}-1.0"} if "-gK1" in words else set())


def telling(host: Host) -> list[Path]:
    """The files of a host that have the password in them."""
    files = [Path(folder, name) for folder, _, names in os.walk(host.folder) for name in names]
    return [one for one in files if one.is_file() and PASSWORD.encode() in one.read_bytes()]
