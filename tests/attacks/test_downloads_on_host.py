# SPDX-License-Identifier: GPL-2.0-or-later
"""S5: a binhost behind a password, on a host without a prefix: who downloads, and who sees the password."""

import base64
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.hostile import attacking
from helpers.realhost import RealHost

PKG = "dev-demo/libgreet"
PASSWORD = secrets.token_hex(8)
LOGIN = f"Basic {base64.b64encode(f'joe:{PASSWORD}'.encode()).decode()}"


def ran(host: RealHost, *argv: str) -> str:
    ended = host.run(*argv)
    assert ended.status == 0, ended.out + ended.err
    return ended.out + ended.err


@pytest.fixture
def tree(real_host: RealHost, tmp_path: Path) -> tuple[Path, str]:
    """What a binhost serves, signed, and the fingerprint of its key."""
    real_host.profile("here", 'cpu = "x86-64"\n')
    ran(real_host, "emerge", "-B1q", PKG)
    ran(real_host, "gentoomuch", "--quiet", "binhost", "key")
    ran(real_host, "gentoomuch", "--quiet", "binhost", "sign")
    ran(real_host, "gentoomuch", "--quiet", "binhost", "publish", "/srv/b")
    key = ran(real_host, "gentoomuch", "--quiet", "binhost", "key").split()[-1]
    www = shutil.copytree(real_host.root / "srv/b/generations/1", tmp_path / "www")
    ran(real_host, "rm", "-r", "/srv/b", "/var/cache/binpkgs")  # or it would be taken from there
    return www, key


@contextmanager
def watched() -> Iterator[tuple[set[str], list[str]]]:
    """While the block runs: the users who download, and the processes in which the password can be read."""
    users: set[str] = set()
    leaks: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    command, status = (folder / "cmdline").read_bytes(), (folder / "status").read_text()
                    environment = (folder / "environ").read_bytes()
                except OSError:
                    continue
                if PASSWORD.encode() in command + environment:
                    leaks.append(command.decode(errors="replace"))
                if b"fetch_helper.py\0libgreet" in command:
                    users.add(re.findall(r"(?m)^Uid:\t(\d+)\t(\d+)", status)[0][1])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield users, leaks
    finally:
        done.set()
        thread.join()


def test_downloads_run_as_user_portage_without_a_visible_password(real_host: RealHost, tree: tuple[Path, str]):
    """S5: on dfeccc0 wget ran as root, and had the password in its arguments (seen on a host with a prefix)."""
    www, key = tree
    with attacking(www, login=LOGIN, pause=0.5) as server:
        url = server.url.replace("://", f"://joe:{PASSWORD}@")
        ran(real_host, "gentoomuch", "binhost", "client", url, "--fingerprint", key, "--timeout", "60")
        server.attack, server.on = "slow", ".gpkg.tar"
        with watched() as (users, leaks):
            out = ran(real_host, "gm-emerge", "--gm-profile=here", "-gK1", PKG)

    [number] = re.findall(r"(?m)^portage:[^:]*:(\d+):", (real_host.root / "etc/passwd").read_text())
    assert number in users
    assert leaks == []
    assert PASSWORD not in out
    assert holding(real_host.root) == {"/etc/gentoomuch/gentoomuch.toml"}
    assert (real_host.root / f"var/db/pkg/{PKG}-1.0").is_dir()


def holding(root: Path) -> set[str]:
    """The files that hold the password, where programs write."""
    found = set()
    for top in ("etc", "home", "root", "run", "tmp", "var"):
        for folder, _, names in os.walk(root / top):
            for file in (Path(folder, name) for name in names):
                if file.is_file() and not file.is_symlink() and PASSWORD.encode() in file.read_bytes():
                    found.add(f"/{file.relative_to(root)}")
    return found
