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
    host.profile("router", f'root = "{folder}/root"\n')
    put(host, "mine/dev-demo/libgreet/hello.patch", greeting("hello", "good day"))
    run("gentoomuch", "profile", "set", "full")
    run("gentoomuch", "binhost", "key")
    run("gm-emerge", "-1q", "app-demo/fresh", "app-demo/easy")
    run("gm-emerge", "-1q", "--gm-profile=router", "app-demo/easy")
    run("gm-emerge", "-1q", "--jobs=1", "app-demo/stuck", "app-demo/easy", expect=1)
    _use_binhost(used, folder / "binhost")
    _use_patches(used)
    _use_project(used)
    if isolation:
        run("gm-emerge", "-B1q", f"--gm-isolation={isolation}", "--usepkg=n", "app-demo/easy")
        run("gentoomuch", "freshroot", "full", "--isolation", isolation, "--keep", "old", "--", "touch", "/etc/touched")
    run("gentoomuch", "hooks", "enable", *HOOKS)
    run("gentoomuch", "freeze", "full", used.frozen)
    run("gentoomuch", "thaw", used.frozen, "--as", "copy")
    run("gentoomuch", "unmask", "ls")
    run("gentoomuch", "fleet", "router")
    run("gentoomuch", "binpkg", "ls")
    run("gentoomuch", "doctor", expect=None)
    return used


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
    subprocess.run(["git", "init", "-q", used.project], check=True)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", used.project, "add", "-A"], check=True)
    subprocess.run(["git", "-C", used.project, *author, "commit", "-qm", "one"], check=True)
    used.run("gentoomuch", "dotgentoo", "init", "app-misc/mine", used.project)
    used.run("gentoomuch", "dotgentoo", "trust", used.project)
    used.run("gm-emerge", "-pq", used.project)
