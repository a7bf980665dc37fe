# SPDX-License-Identifier: GPL-2.0-or-later
"""Worlds for tests: a Gentoo host in a folder with real Portage, and programs run on it."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.waiting import HANG

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def nothing_of_ours_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """GM_* and Portage's variables of whoever runs the tests have no say in them."""
    for name in list(os.environ):
        if name.startswith(("GM_", "PORTAGE_", "EMERGE_")) or name in {"ROOT", "SYSROOT", "EPREFIX", "USE", "FEATURES"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")  # or pip would write into HOME


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """Whoever started us in the background made us deaf to SIGINT, and our children with us."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def sigpipe_is_ignored() -> Iterator[None]:
    """Our programs, run in this process, let SIGPIPE end it; servers of later tests write to closed sockets."""
    yield
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A Gentoo host in a folder, with the packages that ship with the project and nothing installed."""
    return demo_host.make(tmp_path / "host")


@pytest.fixture
def on(host: Host, request: pytest.FixtureRequest) -> Run:
    """Run a program on the host: ``on("gm-emerge", "-p", "gm-hello", GM_PROFILE="router")``."""

    def run(*argv: str | Path, text: str | None = None, cwd: Path | None = None, **env: str) -> Ended:
        words = [str(word) for word in argv]
        if (BIN / words[0]).exists():
            words[0] = str(BIN / words[0])
        if "PYTHONPATH" in env and words[0] in {str(BIN / "gm-emerge"), str(BIN / "gentoomuch")}:
            words.insert(0, sys.executable)  # as programs they start Python without it
        told = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "input": text, "cwd": cwd}
        ended = subprocess.run(words, env=host.env(**env), timeout=HANG, check=False, **told)
        text = f"$ {shlex.join(words)}\n{ended.stdout}{ended.stderr}"
        request.node.add_report_section("call", f"exit status {ended.returncode}", text)  # shown if the test fails
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
