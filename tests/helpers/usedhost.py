# SPDX-License-Identifier: GPL-2.0-or-later
"""A demo host that has used every feature that leaves files in the state and the cache."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from helpers.patches import greeting, put
from helpers.unmasking import package, unstable

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

BIN = Path(sys.executable).parent
STUCK = 'EAPI=8\nSLOT=0\nKEYWORDS="amd64 arm64 ppc64 riscv"\nS="${WORKDIR}"\nsrc_compile() { die stuck; }\n'
HOOKS = ("bashrc", "filter", "record", "refresh", "snapshot", "unmask")
PROFILE = """cpu = "x86-64"
layers = ["small"]
patches = ["mine"]
[unmask]
keywords = true
[binpkg]
remote = true
sign = true
"""
IMAGE = """[image]
formats = ["oci", "tar"]
packages = ["app-demo/easy"]
"""


@dataclass(frozen=True)
class Used:
    """A host, and where its state and cache are."""

    host: Host
    project: Path

    @property
    def state(self) -> Path:
        return self.host.eprefix / "var/lib/gentoomuch"

    @property
    def frozen(self) -> Path:
        """The archive of profile ``full``."""
        return self.project.parent / "full.frozen"

    @property
    def binpkg(self) -> Path:
        """The first binary package of ``app-demo/easy``."""
        return min(self.host.pkgdir.glob("app-demo/easy/*.gpkg.tar"))

    @property
    def cache(self) -> Path:
        return self.host.eprefix / "var/cache/gentoomuch"

    def run(self, *argv: str | Path, expect: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one of our programs; its status has to be the expected one."""
        words = [str(BIN / argv[0]), *map(str, argv[1:])]
        ended = subprocess.run(words, env=self.host.env(**env), capture_output=True, encoding="utf-8", check=False)
        assert expect is None or ended.returncode == expect, (argv, ended.returncode, ended.stdout, ended.stderr)
        return ended


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL under which a directory is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def make(folder: Path, *, isolation: str = "") -> Used:
    """Make a demo host and use it.

    Args:
        isolation: a container type that works here; empty leaves containers out.
    """
    used = Used(demo_host.make(folder / "host"), folder / "project")
    host, run = used.host, used.run
    package(host, "app-demo/fresh-1.0", keywords=unstable())
    package(host, "app-demo/easy-1.0")
    stuck = host.repository / "app-demo/stuck/stuck-1.ebuild"
    stuck.parent.mkdir(parents=True)
    stuck.write_text(STUCK)
    host.profile("full", PROFILE, {"small/make.conf": 'CFLAGS="-Os -pipe"\n'})
    root = folder / "root"
    if isolation:
        package(host, "app-demo/above-1.0", rdepend="app-demo/easy")
        host.profile("web", IMAGE)
        root = folder / "roots/router"  # containers use no root that other users can enter
        root.parent.mkdir(mode=0o700)
    host.profile("router", f'root = "{root}"\n')
    put(host, "mine/dev-demo/libgreet/hello.patch", greeting("hello", "good day"))
    run("gentoomuch", "profile", "set", "full")
    run("gentoomuch", "binhost", "key")
    if isolation:
        _use_sync(used, folder / "origin")
    run("gm-emerge", "-1q", "app-demo/fresh", "app-demo/easy")
    run("gm-emerge", "-1q", "--gm-profile=router", "app-demo/easy")
    run("gm-emerge", "-1q", "--jobs=1", "app-demo/stuck", "app-demo/easy", expect=1)
    _use_binhost(used, folder / "binhost")
    _use_patches(used)
    _use_project(used)
    if isolation:
        _use_containers(used, isolation)
    run("gentoomuch", "hooks", "enable", *HOOKS)
    run("gentoomuch", "freeze", "full", used.frozen)
    run("gentoomuch", "thaw", used.frozen, "--as", "copy")
    run("gentoomuch", "unmask", "ls")
    run("gentoomuch", "fleet", "router")
    run("gentoomuch", "binpkg", "ls")
    run("gentoomuch", "doctor", expect=None)
    return used


def _use_sync(used: Used, origin: Path) -> None:
    """Sync a new repository, and take its snapshot and that of the host's own repository."""
    write(origin / "profiles/repo_name", "gentoo\n")
    write(origin / "metadata/layout.conf", "masters =\n")
    _commit(origin)
    used.run("gentoomuch", "sync", "--init", f"file://{origin}")
    used.run("gentoomuch", "sync", "--only-snapshot")


def _use_containers(used: Used, isolation: str) -> None:
    run, kind = used.run, ("--isolation", isolation)
    run("gm-emerge", "-B1q", f"--gm-isolation={isolation}", "--usepkg=n", "app-demo/easy")
    run("gentoomuch", "freshroot", "full", *kind, "--keep", "old", "--", "touch", "/etc/touched")
    run("gentoomuch", "root", "enter", "router", *kind, "--", "touch", "/etc/touched")
    run("gentoomuch", "build", "app-demo/above-1.0", "--profile", "router", *kind, "--with", used.binpkg)
    run("gentoomuch", "image", "build", "web", *kind)


def _use_binhost(used: Used, folder: Path) -> None:
    used.run("gentoomuch", "binhost", "publish", folder)
    with served(folder / "current") as url:
        shown = json.loads(used.run("gentoomuch", "binhost", "key", "--json").stdout)
        used.run("gentoomuch", "binhost", "client", url, "--fingerprint", shown["fingerprint"], "--yes", expect=None)
        used.run("gm-emerge", "-pgq", "app-demo/easy")


def _use_patches(used: Used) -> None:
    used.run("gentoomuch", "patch", "prep", "mine", "dev-demo/libgreet")
    used.run("gentoomuch", "patch", "try", "mine", "--isolation", "none")


def _use_project(used: Used) -> None:
    used.project.mkdir()
    (used.project / "Makefile").write_text("all:\ninstall:\n\ttrue\n")
    _commit(used.project)
    used.run("gentoomuch", "dotgentoo", "init", "app-misc/mine", used.project)
    used.run("gentoomuch", "dotgentoo", "trust", used.project)
    used.run("gm-emerge", "-pq", used.project)


def _commit(folder: Path) -> None:
    """Make a directory a git repository with one commit."""
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "one")):
        subprocess.run(["git", "-C", folder, *words], check=True)
