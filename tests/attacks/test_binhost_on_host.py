# SPDX-License-Identifier: GPL-2.0-or-later
"""A binhost and its client on a host without a prefix."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.realhost import RealHost
from helpers.waiting import HANG, wait_for

PKG = "dev-demo/libgreet"


@contextmanager
def started(host: RealHost, *argv: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = host.start(*argv)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=HANG)


def ran(host: RealHost, *argv: str, ok: bool = True, **env: str) -> str:
    ended = host.run(*argv, **env)
    assert (ended.status == 0) is ok, ended.out + ended.err
    return ended.out + ended.err


def offered(host: RealHost) -> str:
    """What gm-emerge reports about a package that it can have of a binhost alone."""
    ended = host.run("gm-emerge", "--gm-profile=here", "-pG", PKG, PKGDIR="/var/tmp/empty")
    return ended.out + ended.err


def agents(host: RealHost) -> list[str]:
    return re.findall(r".*gpg-agent.*gentoomuch.*", host.run("ps", "-eo", "args").out)


def users_of(host: RealHost) -> list[str]:
    """The users of the processes of a server."""
    return ran(host, "bash", "-c", "ps -eo user=,args= | grep '[b]inhost serve' | cut -d' ' -f1").split()


def test_rollback_to_an_earlier_generation_by_somebody_between_is_rejected(real_host: RealHost):
    """TUF rollback, S6: the directory of an earlier generation, with its own good signature."""
    real_host.profile("here", 'cpu = "x86-64"\n')
    ran(real_host, "emerge", "-B1q", PKG)
    key = ran(real_host, "gentoomuch", "--quiet", "binhost", "key").split()[-1]
    ran(real_host, "gentoomuch", "--quiet", "binhost", "sign")
    ran(real_host, "gentoomuch", "--quiet", "binhost", "publish", "/srv/b")
    ran(real_host, "gentoomuch", "--quiet", "binhost", "publish", "/srv/b", "--refresh", "0")
    ran(real_host, "cp", "-a", "/srv/b/generations/2", "/srv/shown")
    words = ("python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv/shown", "0")
    with started(real_host, *words) as server:
        [port] = re.findall(r"port (\d+) ", server.stdout.readline().decode())
        ran(real_host, "gentoomuch", "binhost", "client", f"http://127.0.0.1:{port}", "--fingerprint", key)
        honest = offered(real_host)
        ran(real_host, "bash", "-c", "rm -r /srv/shown /var/cache/gentoomuch; cp -a /srv/b/generations/1 /srv/shown")
        replayed = offered(real_host)

    [record] = (real_host.root / "var/lib/gentoomuch/binhosts").glob("*.json")
    assert json.loads(record.read_text())["key"] == key
    assert re.search(rf"\[binary.*{PKG}", honest), honest
    assert not re.search(rf"\[binary.*{PKG}", replayed), replayed
    assert "[index-rolled-back]" in replayed
    wait_for(lambda: not agents(real_host), "no agent remains")


def test_workers_run_as_nobody_and_serve_packages_of_root(real_host: RealHost):
    """S15, F15: the key and all state are root's, below /var/lib."""
    ran(real_host, "emerge", "-B1q", PKG)
    with started(real_host, "gentoomuch", "binhost", "serve", "--bind", "127.0.0.1:0") as server:
        command = server.stdout.readline().decode().split()
        packages = ran(real_host, "wget", "-qO-", f"{command[3]}/Packages")
        path = re.search(r"(?m)^PATH: (.*)$", packages)[1]
        ran(real_host, "wget", "-qO/dev/null", f"{command[3]}/{path}")
        # For a moment more of them are root's: a worker that is not yet nobody, a child that is not yet gpg.
        wait_for(lambda: sorted(set(users := users_of(real_host))) == ["nobody", "root"] and users.count("root") == 1,
                 lambda: f"one process of root, the others of nobody: {users_of(real_host)}")  # fmt: skip
        wait_for(lambda: not agents(real_host), "no agent remains while it runs")

    wait_for(lambda: not agents(real_host), "no agent remains")
    assert Path(path).suffixes[-2:] == [".gpkg", ".tar"]
