# SPDX-License-Identifier: GPL-2.0-or-later
"""Those who take part beside the builders: file readers, a server that can be killed, and clients that install."""

import gzip
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from helpers.binhost import BIN
from helpers.repack import noise
from helpers.waiting import HANG, wait_for

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.pkgindex import entry, shards, stamp

_WRONG = re.compile(r".*(?:rejected|its signature|differs from its index|Traceback|damaged|digest).*", re.IGNORECASE)
"""What a client says of bytes that are not as they should be; that a server is dead is no such thing."""
_SAID = re.compile(r"gentoomuch:\S* (.*)")
"""What gm-emerge tells of what it does."""


class Loop:
    """Threads that do one thing again and again until the block ends."""

    def __init__(self, threads: int = 1) -> None:
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> "Loop":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for one in self._threads:
            one.join()

    def _run(self) -> None:
        while not self._end.is_set():
            self.turn()

    def turn(self) -> None:
        raise NotImplementedError


class Files(Loop):
    """Read the index as it lies there."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(2)
        self.folder, self.name, self.reads, self.by_name, self.torn = folder, name, 0, 0, []

    def turn(self) -> None:
        for name, unpacked in (("Packages", bytes), ("Packages.gz", gzip.decompress)):
            try:
                text = unpacked((self.folder / name).read_bytes())
            except (OSError, EOFError) as error:
                self.torn.append(f"{name}: {error!r}")
                continue
            header, _, body = text.partition(b"\n\n")
            told, there = int(entry.fields(header)["PACKAGES"]), len(list(entry.each(body)))
            self.reads += 1
            if told != there:
                self.torn.append(f"{name} tells of {told} and has {there}")
        if stamp.fresh(self.folder):
            shards.entries(self.folder, self.name)
            self.by_name += 1
        time.sleep(0.05)


class Installer(Loop):
    """A host that installs the newest of a package from a binhost, over and over."""

    def __init__(self, host: Host, pkg: str) -> None:
        super().__init__()
        self.host, self.pkg, self.ended, self.wrong = host, pkg, Counter(), []
        self.instances: set[int] = set()

    def turn(self) -> None:
        self.install()
        self._end.wait(3)

    def install(self) -> str:
        """Install; empty where it went well, and what was said otherwise."""
        words = [str(BIN / "gm-emerge"), "-gK1q", self.pkg]
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
        env = self.host.env(GM_PROFILE="box")
        run = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, check=False, timeout=HANG, **told)
        self.ended["installed" if run.returncode == 0 else "not installed"] += 1
        self.wrong += _WRONG.findall(run.stdout)
        self.ended.update(_SAID.findall(run.stdout))
        if run.returncode:
            return run.stdout
        (vdb,) = self.host.vdb.glob(f"{self.pkg}-*")
        number = int((vdb / "BUILD_ID").read_text())
        self.instances.add(number)
        found = (vdb / "NOISE").read_text().strip() if number > 1 else noise(number)  # the first is as it was built
        if found != noise(number):
            self.wrong.append(f"what is installed is not {number}")
        return ""


class Server:
    """``binhost serve`` on one port, that can be killed and started again."""

    def __init__(self, host: Host, port: int) -> None:
        self._host, self._port = host, port
        self._running: subprocess.Popen[str] | None = None

    def start(self) -> list[str]:
        """The command for a client, once it serves.

        A worker of a killed server listens until it sees that its first process has ended. A supervisor starts a
        server again until it can listen, and so does this.
        """
        commands: list[list[str]] = []

        def is_started() -> bool:
            commands.append(self._start())
            return bool(commands[-1])

        wait_for(is_started, "the server starts")
        return commands[-1]

    def _start(self) -> list[str]:
        """What it prints when it serves; nothing where it ended before."""
        words = ["binhost", "serve", "--bind", f"127.0.0.1:{self._port}", "--workers", "2"]
        words += ["--log", str(self._host.folder / "log")]
        self._running = subprocess.Popen(
            [BIN / "gentoomuch", *words],
            env=self._host.env(),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        command = self._running.stdout.readline().split()
        if not command:
            self._running.wait(HANG)
            self._running.stdout.close()
        return command

    def kill(self, *, workers: bool) -> None:
        """Kill the first process, or all at once."""
        number = self._running.pid
        (os.killpg if workers else os.kill)(number, signal.SIGKILL)
        self._running.wait()
        self._running.stdout.close()

    def stop(self) -> int:
        """As systemd does it; the exit status."""
        self._running.terminate()
        self._running.stdout.close()
        return self._running.wait(HANG)


def ended(running: Iterable[subprocess.Popen[str]]) -> None:
    """Kill those that still run."""
    for one in running:
        if one.poll() is None:
            one.kill()
            one.communicate()


def start(script: str, host: Host, *words: object, **env: str) -> subprocess.Popen[str]:
    """Run one of the programs in ``store`` on a host."""
    argv = [sys.executable, Path(__file__).parents[1] / "store" / script, *map(str, words)]
    keep = subprocess.PIPE if script == "reader.py" else subprocess.DEVNULL
    return subprocess.Popen(argv, env=host.env(**env), stdout=keep, encoding="utf-8")
