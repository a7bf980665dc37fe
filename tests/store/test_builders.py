# SPDX-License-Identifier: GPL-2.0-or-later
"""Builders take packages into one folder that is served, clients install from it, and a killer goes round.

GM_TEST_PACKAGES, GM_TEST_BUILDERS, GM_TEST_CLIENTS, GM_TEST_INSTALLERS (of the clients) and GM_TEST_KILLS say how
many; GM_TEST_SEED repeats a run.
"""

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.binhost import machine, open_folder, package, said
from helpers.ports import reserved_port
from helpers.store_clients import Files, Installer, Server, ended, start

from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.pkgindex import edit, entry, shards, stamp

PKG = "dev-demo/libgreet"
PACKAGES, BUILDERS, CLIENTS, INSTALLERS, KILLS = (
    int(os.environ.get(f"GM_TEST_{name}", told))
    for name, told in (("PACKAGES", 2000), ("BUILDERS", 4), ("CLIENTS", 8), ("INSTALLERS", 2), ("KILLS", 50))
)
SEED = int(os.environ.get("GM_TEST_SEED", str(random.randrange(10**6))))


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


class Builders:
    """Each with a share of the packages; one that was killed goes on behind what it was about."""

    def __init__(self, host: Host, built: Path) -> None:
        self._host, self._built = host, built
        state = host.eprefix / "var/lib/gentoomuch"
        self._home, (self._trusted,) = state / "binhost/gnupg", (state / "trust").iterdir()
        self._logs = [host.folder / f"done-{number}" for number in range(BUILDERS)]
        self._nexts = [10_000 * (number + 1) for number in range(BUILDERS)]
        self._running = [self._start(number) for number in range(BUILDERS)]

    @property
    def busy(self) -> list[int]:
        return [number for number, one in enumerate(self._running) if one.poll() is None]

    @property
    def done(self) -> list[int]:
        """The packages that were finished."""
        return [one for number in range(BUILDERS) for one in self._logged(number)]

    @property
    def statuses(self) -> set[int]:
        return {one.wait() for one in self._running}

    def kill(self, number: int) -> None:
        """Kill one, and start it again. What it was about may lie there, out of the index."""
        self._running[number].kill()
        self._running[number].wait()
        self._nexts[number] = max([self._nexts[number], *self._logged(number)]) + 2
        self._running[number] = self._start(number)

    def _start(self, number: int) -> subprocess.Popen[str]:
        first, left = self._nexts[number], PACKAGES // BUILDERS - len(self._logged(number))
        words = (self._host.pkgdir, self._built, first, first + left, self._logs[number], self._home)
        return start("builder.py", self._host, *words, BINPKG_GPG_VERIFY_GPG_HOME=str(self._trusted))

    def _logged(self, number: int) -> list[int]:
        log = self._logs[number]
        return [int(one) for one in log.read_text().split()] if log.exists() else []


def test_each_finished_package_is_served_once_and_without_errors(place: Path):
    with reserved_port() as port:
        check_a_run(place, port)


def check_a_run(place: Path, port: int) -> None:
    dice, began = random.Random(SEED), time.monotonic()
    host, server, command, built = binhost(place, port)
    installers = [client(place, number, command) for number in range(INSTALLERS)]
    stop = place / "stop"
    words = [(command[3], number, CLIENTS - INSTALLERS, stop) for number in range(CLIENTS - INSTALLERS)]

    with ExitStack() as around:
        around.callback(server.stop)
        light = [start("reader.py", host, *one) for one in words]
        around.callback(ended, light)
        with Files(host.pkgdir, PKG) as files, ExitStack() as installing:
            for one in installers:
                installing.enter_context(one)
            builders, kills = Builders(host, built), Counter()
            while builders.busy:
                time.sleep(0.2)
                if len(builders.done) > PACKAGES * kills.total() / (KILLS + 1) and kills.total() < KILLS:
                    kills[killed(dice, builders, server)] += 1
        failed = [one.install() for one in installers]
        stop.touch()
        seen = [json.loads(one.communicate(timeout=600)[0] or "{}") for one in light]

    finished, torn = builders.done, files.torn
    print(
        f"\nseed {SEED}: {len(finished)} packages by {BUILDERS} builders in {time.monotonic() - began:.0f} s, "
        f"killed: {dict(kills)}; files: {files.reads} reads of the index, {files.by_name} by name, torn: {torn}\n"
        f"{CLIENTS - INSTALLERS} readers: {dict(sum((Counter(one['seen']) for one in seen), Counter()))}\n"
        f"{INSTALLERS} installers: {[(dict(one.ended), len(one.instances)) for one in installers]}"
    )
    assert builders.statuses == {0}
    assert not torn
    assert [one["wrong"] for one in seen] == [[]] * len(light)
    assert [one.wrong for one in installers] == [[]] * len(installers)
    assert failed == [""] * len(installers)
    assert {number: indexed(host)[number] for number in finished} == dict.fromkeys(finished, 1)
    assert len(finished) >= PACKAGES // BUILDERS * BUILDERS
    said(host, "gentoomuch", "binhost", "index")
    assert json.loads(said(host, "gentoomuch", "binhost", "check", "--signed", "--json")) == []
    assert stamp.fresh(host.pkgdir)
    assert [*shards.read(host.pkgdir)] == [PKG]


def binhost(place: Path, port: int) -> tuple[Host, Server, list[str], Path]:
    """A host with one signed package that is served, its command for a client, and the package."""
    host = machine(place / "s")
    said(host, "emerge", "-B1q", PKG)
    said(host, "gentoomuch", "binhost", "sign")
    built = package(host.pkgdir)
    server = Server(host, port)
    return host, server, server.start(), built


def client(place: Path, number: int, command: list[str]) -> Installer:
    """Another host, that knows the binhost."""
    host = machine(place / f"c{number}")
    said(host, *command)
    return Installer(host, PKG)


def killed(dice: random.Random, builders: Builders, server: Server) -> str:
    """Kill a builder or the server, or the first process of the server alone; what it was."""
    if dice.random() < 0.6:
        builders.kill(dice.choice(builders.busy or [0]))
        return "builders"
    workers = dice.random() < 0.5
    server.kill(workers=workers)
    time.sleep(dice.uniform(0, 1))
    server.start()
    return "servers" if workers else "first processes of servers"


def indexed(host: Host) -> Counter[int]:
    """BUILD_ID -> how many entries it has."""
    with edit.open_view(host.pkgdir / "Packages") as view:
        return Counter(int(entry.fields(one)["BUILD_ID"]) for one in entry.each(view.data[view.body :]))
