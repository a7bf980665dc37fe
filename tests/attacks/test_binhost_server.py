# SPDX-License-Identifier: GPL-2.0-or-later
"""The server of a binhost: who it is, what it says when it cannot sign, and what it leaves behind."""

import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.binhost import BIN, flipped, machine, open_folder, package, said
from helpers.processes import children, command_lines, open_files, uids
from helpers.waiting import HANG, wait_for

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that all may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def host(place: Path) -> Host:
    """A host that has built one package."""
    host = machine(place / "s")
    said(host, "emerge", "-B1q", PKG)
    return host


@pytest.fixture
def store(host: Host, place: Path) -> Iterator[Path]:
    """A copy of its packages, which nobody has signed."""
    copy = shutil.copytree(host.pkgdir, place / "store")
    yield copy
    shutil.rmtree(copy)


class Running:
    """``binhost serve`` that runs."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process, self.errors = process, errors

    def end(self) -> tuple[str, int]:
        """What it prints on stdout until it ends by itself, and its exit status."""
        return self.process.communicate(timeout=HANG)[0], self.process.returncode

    def lines(self, part: str) -> int:
        """How many lines on stderr have a text, in any case."""
        return sum(part.lower() in line.lower() for line in self.errors.read_text().splitlines())

    def wait_for(self, reached: Callable[[], object]) -> None:
        """Wait for a state."""
        wait_for(reached, self.errors.read_text)

    def uids_of_workers(self) -> set[int]:
        """The users of its processes but the first; a gpg that signs the index ends soon."""
        return {uid for number in children(self.process.pid) for uid in uids(number)}


@contextmanager
def running(host: Host, *words: str | Path, cache: Path | None = None) -> Iterator[Running]:
    """Start a server; its first line on stdout is the command for clients."""
    errors = host.folder / "errors"
    more = ["--cache", cache] if cache else []
    argv = [
        BIN / "gentoomuch",
        *more,
        "binhost",
        "serve",
        *words,
        "--bind",
        "127.0.0.1:0",
        "--log",
        host.folder / "log",
    ]
    with errors.open("w") as file:
        told = {"stdout": subprocess.PIPE, "stderr": file, "encoding": "utf-8"}
        process = subprocess.Popen(list(map(str, argv)), env=host.env(), **told)
    try:
        yield Running(process, errors)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(HANG)
        process.stdout.close()


def agents(home: Path) -> list[str]:
    """The command lines of all agents of a key directory."""
    lines = [" ".join(words) for words in command_lines().values()]
    return [line for line in lines if "gpg-agent" in line and str(home) in line]


def assert_no_agent_remains(home: Path) -> None:
    """All agents end; one that is ending takes a moment."""
    wait_for(lambda: not agents(home), lambda: f"these end: {agents(home)}")


@AS_ROOT
def test_workers_run_as_nobody_and_cannot_read_the_key(host: Host, store: Path):
    """S15: without --user all workers stayed root. Seen on dfeccc0."""
    with running(host, store) as server:
        url = server.process.stdout.readline().split()[3]
        server.wait_for(lambda: server.uids_of_workers() == {65534})  # a worker becomes nobody before it answers
        workers = [number for number in children(server.process.pid) if uids(number) == {65534}]
        opened = open_files(*workers)
        with urllib.request.urlopen(f"{url}/Packages") as answer:
            path = next(line[6:] for line in answer.read().decode().splitlines() if line.startswith("PATH: "))
        with urllib.request.urlopen(f"{url}/{path}") as answer:
            content = answer.read()
        first = uids(server.process.pid)

    assert first == {0}
    assert opened
    assert not [one for one in opened if "gnupg" in one]
    assert (host.eprefix / "var/lib/gentoomuch/binhost/gnupg").stat().st_mode & 0o077 == 0
    assert content == package(store).read_bytes()


def test_the_process_that_has_the_key_accepts_no_connection(host: Host, store: Path):
    """S15: it holds the listening socket for workers that start later, and never a client's."""
    with running(host, store) as server:
        port = int(server.process.stdout.readline().split()[3].split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /Pack")
            server.wait_for(lambda: sockets_of(port) & open_files(*children(server.process.pid)))
            of_clients = sockets_of(port)
            of_first = open_files(server.process.pid)

    assert not of_clients & of_first


def sockets_of(port: int) -> set[str]:
    """The server's sockets that are connected to clients, as descriptors name them. Source: proc_pid_net(5)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    connected = [row for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == "01"]
    return {f"socket:[{row[9]}]" for row in connected if row[9] != "0"}


@AS_ROOT
def test_workers_run_as_root_only_with_user_root(host: Host, store: Path):
    """S15."""
    with running(host, store, "--user", "root") as server:
        url = server.process.stdout.readline().split()[3]
        with urllib.request.urlopen(f"{url}/Packages") as answer:  # a worker that answers stays who it is
            answer.read()
        server.wait_for(lambda: server.uids_of_workers() == {0})


@AS_ROOT
def test_files_unreadable_for_nobody_are_an_error_before_serving(host: Host, store: Path):
    """S15: not a server that answers 404 to everything."""
    store.chmod(0o700)
    with running(host, store) as server:
        output, status = server.end()

    assert (output, status) == ("", 77)
    assert server.lines("[no-privilege]") == 1
    assert server.lines("serving") == 0


def test_a_server_with_a_failing_signer_does_not_report_that_it_serves(host: Host, place: Path, store: Path):
    """F15: it said "serving" with nothing to serve. Seen on dfeccc0."""
    broken = machine(place / "broken")
    said(broken, "gentoomuch", "binhost", "key")
    shutil.rmtree(broken.eprefix / "var/lib/gentoomuch/binhost/gnupg/private-keys-v1.d")
    with running(broken, store) as server:
        output, status = server.end()

    assert (output, status) == ("", 69)
    assert server.lines("[nothing-to-serve]") == 1
    assert server.lines("serving") == 0
    assert server.lines(package(store).name) == 1


def test_a_server_with_unsignable_packages_does_not_report_that_it_serves(host: Host, store: Path):
    """F15: an index of no packages."""
    flipped(package(store), 9000)
    with running(host, store) as server:
        output, status = server.end()

    assert (output, status) == ("", 69)
    assert server.lines("[nothing-to-serve]") == 1


def test_a_signer_that_fails_for_a_while_is_reported_when_it_begins_and_when_it_ends(
    host: Host, place: Path, store: Path
):
    """F15: a package was named every 5 seconds for ever, 19 times in 2 minutes. Seen on dfeccc0."""
    failing = machine(place / "failing")
    said(failing, "gentoomuch", "binhost", "key")
    secret = failing.eprefix / "var/lib/gentoomuch/binhost/gnupg/private-keys-v1.d"
    with running(failing, store) as server:
        server.process.stdout.readline()
        secret.rename(place / "secret")
        shutil.copy(package(host.pkgdir), package(store))  # it is not signed
        (store / "Packages").write_text((store / "Packages").read_text() + "\n")
        server.wait_for(lambda: server.lines(package(store).name) > 0)
        time.sleep(12)  # it tries again every 5 seconds
        named, lines = server.lines(package(store).name), len(server.errors.read_text().splitlines())
        (place / "secret").rename(secret)
        server.wait_for(lambda: server.lines("works again") > 0)

    assert (named, server.lines("works again")) == (1, 1)
    assert lines <= 4


@AS_ROOT
def test_a_full_disk_is_reported_once_and_the_server_continues(host: Host, place: Path, store: Path):
    """F15, S13: what is prepared does not fit, later it does."""
    cache = place / "cache"
    cache.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs", cache], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with running(host, store, cache=cache) as server:
            server.process.stdout.readline()
            subprocess.run(["dd", "if=/dev/zero", f"of={cache}/filler", "bs=4k"], capture_output=True, check=False)
            (store / "Packages").write_text((store / "Packages").read_text() + "\n")
            server.wait_for(lambda: server.lines("No space left") > 0)
            time.sleep(12)
            while_full = server.lines("No space left")
            (cache / "filler").unlink()
            server.wait_for(lambda: server.lines("works again") > 0)
    finally:
        subprocess.run(["umount", cache], check=False)

    assert while_full == 1


@pytest.mark.parametrize(
    "words",
    [
        ("binhost", "key"),
        ("binhost", "key", "--rotate"),
        ("binhost", "key", "--revoke", "--yes"),
        ("binhost", "sign", "STORE"),
        ("binhost", "publish", "TOP", "--from", "STORE"),
        ("freeze", "box", "FILE"),
    ],
    ids=lambda words: "-".join(words[:3]),
)
def test_no_agent_is_left_behind_by(host: Host, place: Path, store: Path, words: tuple[str, ...]):
    """F15: ``binhost key`` and ``freeze`` left a gpg-agent for ever. Seen on dfeccc0."""
    named = {"STORE": store, "TOP": place / "top", "FILE": place / "box.tar"}
    said(host, "gentoomuch", *(named.get(word, word) for word in words))

    assert_no_agent_remains(host.folder)


def test_no_agent_is_left_behind_by_a_server_while_it_runs_and_afterwards(host: Host, store: Path):
    """F15."""
    with running(host, store) as server:
        server.process.stdout.readline()
        assert_no_agent_remains(host.folder)

    assert_no_agent_remains(host.folder)


def test_no_agent_is_left_behind_by_packages_that_are_signed_when_they_are_built(host: Host):
    """F15: Portage signs by itself."""
    host.profile("signing", "[binpkg]\nsign = true\n")
    said(host, "gm-emerge", "--gm-profile=signing", "-B1q", PKG)

    assert_no_agent_remains(host.folder)


@pytest.mark.parametrize(
    "script",
    [
        "gentoomuch profile run signing -- emerge -B1q PKG",
        'eval "$(gentoomuch profile env signing)" && emerge -B1q PKG',
        "gentoomuch profile run signing -- sh -c 'emerge -B1q PKG; kill -9 $$'",
    ],
)
def test_no_agent_is_left_behind_by_plain_emerge_with_the_environment_of_a_profile(host: Host, script: str):
    """F15: seen left for ever, as nobody was there any more who would end it."""
    host.profile("signing", "[binpkg]\nsign = true\n")
    argv = ["sh", "-c", script.replace("PKG", PKG)]
    ended = subprocess.run(argv, env=host.env(), capture_output=True, text=True, check=False)

    package = max(host.pkgdir.rglob("*.gpkg.tar"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(package) as archive:
        assert any(name.endswith(".sig") for name in archive.getnames()), ended
    assert_no_agent_remains(host.folder)


def test_no_agent_is_left_behind_by_an_archive_that_is_verified(host: Host, place: Path):
    """F15: and by keys that are looked at, in temporary directories."""
    temporary = place / "t"
    temporary.mkdir()
    said(host, "gentoomuch", "freeze", "box", place / "verified.tar", TMPDIR=str(temporary))
    said(host, "gentoomuch", "verify", place / "verified.tar", TMPDIR=str(temporary))

    assert_no_agent_remains(host.folder)
    assert_no_agent_remains(temporary)
