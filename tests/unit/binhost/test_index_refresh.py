# SPDX-License-Identifier: GPL-2.0-or-later
"""A server signs its index anew every day, and never with a time that its clients would reject."""

import gzip
import re
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers.package_folders import shelve

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.binhost import publish as binhost_publish
from gentoomuch_portage.binhost.keys import Key
from gentoomuch_portage.binhost.server import index_refresh
from gentoomuch_portage.binhost.server.index_refresh import IndexRefresher, read_latest, start_of_day
from gentoomuch_portage.binhost.server.problems import ProblemLog

DAY = 86400
NOW = int(time.time())
HOUR = 3600.0


class Signing:
    """A server whose signature is a copy of what it signs."""

    def __init__(self, folder: Path) -> None:
        self.www, self.prepared = folder / "www", folder / "prepared"
        self.reports: list[str] = []
        self.key = Key(*[folder / "lock"] * 5)
        self.look = self.start()

    def start(self) -> IndexRefresher:
        return IndexRefresher(self.www, self.prepared, self.key, self.reports.append)

    def write(self, timestamp: int, cpv: str = "a/b-1") -> None:
        """Write the index of the folder, as builders do."""
        fs.write(self.www / "Packages", f"PACKAGES: 1\nTIMESTAMP: {timestamp}\n\nCPV: {cpv}\nPATH: x.gpkg.tar\n\n")

    def shown(self) -> tuple[int, str]:
        """TIMESTAMP and cpv of what clients see; its three files and its signature agree."""
        name = self.prepared / read_latest(self.prepared)
        text = name.with_name(f"{name.name}.plain").read_bytes()
        assert name.with_name(f"{name.name}.asc").read_bytes() == text
        assert gzip.decompress(name.with_name(f"{name.name}.gz").read_bytes()) == text
        return int(re.search(rb"TIMESTAMP: (\d+)", text)[1]), re.search(rb"CPV: (.*)", text)[1].decode()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signing:
    set_clock(monkeypatch, NOW)
    monkeypatch.setattr(gpg, "sign_detached", lambda _home, _by, file, target: target.write_bytes(file.read_bytes()))
    return Signing(tmp_path)


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setattr(index_refresh.time, "time", lambda: float(seconds))


@pytest.mark.parametrize("age", [0, 30 * DAY])
def test_a_server_that_knows_of_no_earlier_index_signs_with_the_time_of_now(server: Signing, age: int):
    """One that was restored from a backup is accepted by clients that have seen a newer one."""
    server.write(NOW - age - 5)
    server.look()

    assert server.shown() == (NOW, "a/b-1")


def test_a_newer_index_keeps_its_time_so_two_servers_show_the_same(server: Signing):
    server.write(NOW - 10)
    server.look()
    server.write(NOW + 100, "a/b-2")
    server.look()

    assert server.shown() == (NOW + 100, "a/b-2")


def test_an_unchanged_index_is_signed_again_every_day(server: Signing, monkeypatch: pytest.MonkeyPatch):
    server.write(NOW - 30 * DAY)
    server.look()
    assert not server.look()
    set_clock(monkeypatch, NOW + DAY)
    server.look()
    first = server.shown()
    set_clock(monkeypatch, NOW + 2 * DAY)
    server.start()()

    assert first == (start_of_day(NOW) + DAY, "a/b-1")
    assert server.shown() == (start_of_day(NOW) + 2 * DAY, "a/b-1")
    assert [one.name for one in server.prepared.glob("*.plain")] == [f"{read_latest(server.prepared)}.plain"]


def test_a_server_that_is_started_again_does_not_sign_anew_on_the_same_day(server: Signing):
    server.write(NOW - 30 * DAY)
    server.look()
    before = (server.prepared / f"{read_latest(server.prepared)}.asc").stat().st_ino
    server.start()()

    assert (server.prepared / f"{read_latest(server.prepared)}.asc").stat().st_ino == before


def test_a_changed_index_gets_a_newer_timestamp_than_the_current_one(server: Signing):
    server.write(NOW - 10)
    server.look()
    before = server.shown()
    server.write(NOW - 3600, "a/b-2")
    server.look()

    assert server.shown()[1] == "a/b-2"
    assert server.shown()[0] > before[0] + 5


def test_a_time_of_a_clock_that_was_wrong_is_not_signed(server: Signing):
    server.write(NOW + 3650 * DAY)
    server.look()
    future = server.shown()
    server.write(NOW, "a/b-2")
    server.look()

    assert future == (NOW, "a/b-1")
    assert server.shown()[0] <= NOW + DAY


def test_a_published_signature_is_served_unchanged(server: Signing):
    server.write(NOW - 30 * DAY)
    (server.www / "Packages.asc").write_text("signed elsewhere")
    server.look()

    assert server.shown() == (NOW - 30 * DAY, "a/b-1")


def publish(source: Path, top: Path, *, stale: bool) -> binhost_publish.Generation:
    with binhost_publish.locked(top):
        return binhost_publish.publish(
            source, top, grace=HOUR, finish=lambda _: None, lock=nullcontext, stale=lambda _: stale
        )


def test_a_generation_signed_again_replaces_the_previous_one(tmp_path: Path):
    source, top = shelve(tmp_path / "one", {"a/b-1": b"one"}), tmp_path / "www"
    publish(source, top, stale=False)
    before = binhost_publish.read_timestamp(top / "current/Packages")
    unchanged = publish(source, top, stale=False)
    again = publish(source, top, stale=True)
    publish(shelve(tmp_path / "two", {"c/d-1": b"two"}), top, stale=True)
    with binhost_publish.locked(top):
        gone = binhost_publish.prune(top, keep=2, days=30, grace=0)
        back = binhost_publish.rollback(top, None, grace=HOUR, finish=lambda _: None)

    assert (unchanged.number, again.number, again.shows, gone) == (1, 2, 1, [1])
    assert again.files == unchanged.files == back.files
    assert binhost_publish.read_timestamp(top / "current/Packages") > before


def test_a_published_time_that_is_years_ahead_does_not_go_on(tmp_path: Path):
    source, top = shelve(tmp_path / "one", {"a/b-1": b"one"}), tmp_path / "www"
    publish(source, top, stale=False)
    index = top / "current/Packages"
    fs.write(index, re.sub(rb"TIMESTAMP: \d+", b"TIMESTAMP: %d" % (NOW + 3650 * DAY), index.read_bytes()))
    publish(source, top, stale=True)

    assert abs(binhost_publish.read_timestamp(top / "current/Packages") - time.time()) < DAY


def test_a_problem_is_reported_when_it_begins_changes_and_ends():
    lines: list[str] = []
    problems = ProblemLog(lines.append)
    for why in ("/tmp/a1: disk full", "/tmp/b2: disk full", "no key 1234567890AB", "no key FFFFFFFFFFFF"):
        problems.failed("index", why)
    problems.solved("index")
    problems.solved("index")
    problems.failed("index", "/tmp/c3: disk full")

    assert lines == [
        "index: /tmp/a1: disk full",
        "index: no key 1234567890AB",
        "index: works again",
        "index: /tmp/c3: disk full",
    ]
