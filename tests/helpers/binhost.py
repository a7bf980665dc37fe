# SPDX-License-Identifier: GPL-2.0-or-later
"""A binhost and its client, each a Gentoo host in a folder, with the real programs between them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.realhost import RealHost
from helpers.waiting import HANG

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that all may enter, for Portage verifies as nobody where it is root; of a short name, as gpg needs."""
    folder = Path(tempfile.mkdtemp(prefix="gm-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for home in folder.glob("*/gentoo/var/lib/gentoomuch/binhost/gnupg"):
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def machine(folder: Path) -> Host:
    """A host whose own keys lie in its prefix, as /etc/portage/gnupg on a real one; with the profile ``box``."""
    host = demo_host.make(folder)
    with (host.etc / "make.conf").open("a") as conf:
        conf.write(f'BINPKG_GPG_VERIFY_GPG_HOME="{host.etc}/gnupg"\n')
    host.profile("box", "")
    return host


def said(host: Host | RealHost, *argv: str | Path, ok: bool | None = True, **env: str) -> str:
    """Run a program on a host; all it said. It has to end well, or badly, or it does not matter."""
    if isinstance(host, RealHost):
        real = host.run(*map(str, argv), **env)
        assert ok is None or (real.status == 0) is ok, f"{argv} ended with {real.status}:\n{real.out}{real.err}"
        return real.out + real.err
    words = [str(BIN / argv[0]), *map(str, argv[1:])]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    ended = subprocess.run(words, env=host.env(**env), stdin=subprocess.DEVNULL, timeout=HANG, check=False, **told)
    assert ok is None or (ended.returncode == 0) is ok, f"{words} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


@contextmanager
def serving(host: Host, *words: str | Path, port: int = 0) -> Iterator[list[str]]:
    """``binhost serve`` until the block ends; the command that it prints for a client."""
    argv = [BIN / "gentoomuch", "binhost", "serve", *words, "--bind", f"127.0.0.1:{port}", "--log", host.folder / "log"]
    server = subprocess.Popen(list(map(str, argv)), env=host.env(), stdout=subprocess.PIPE, encoding="utf-8")
    try:
        command = server.stdout.readline().split()
        assert command, "the server did not start"
        yield command
    finally:
        server.terminate()
        assert server.wait(HANG) == 0
        server.stdout.close()


def published(host: Host, www: Path) -> str:
    """Copy what a host has built, signed, as a tree that any server can give out; the fingerprint of its key."""
    said(host, "gentoomuch", "--quiet", "binhost", "sign")
    shutil.copytree(host.pkgdir, www)
    key = said(host, "gentoomuch", "binhost", "key", "--export", www / "key.asc").strip()
    resign(host, www)
    return key


def resign(host: Host, www: Path) -> None:
    """Sign the index of a tree with the key of a host."""
    for name in ("Packages.gz", "Packages.asc"):
        (www / name).unlink(missing_ok=True)
    home = host.eprefix / "var/lib/gentoomuch/binhost/gnupg"
    words = ["gpg", "--homedir", home, "--batch", "--quiet", "--armor", "--detach-sign", www / "Packages"]
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)


def flipped(file: Path, at: int) -> None:
    """Change one bit of a file."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def installed(host: Host) -> set[str]:
    """``category/package-version`` of what is installed."""
    return {os.fspath(one.relative_to(host.vdb)) for one in host.vdb.glob("*/*")}


def package(folder: Path) -> Path:
    """The one package below a folder."""
    (found,) = folder.rglob("*.gpkg.tar")
    return found
