"""Builders that take packages into one folder at the same time, and are killed; readers look all the while.

GM_TEST_PACKAGES and GM_TEST_KILLS say how many; GM_TEST_SEED repeats a run.
"""

import gzip
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from repacking import instance

from gentoomuch_portage import embedded
from gentoomuch_portage.embedded import Host
from gentoomuch_portage.pkgindex import names, shards, splice, stamp, stanza

BIN = Path(sys.executable).parent
PKG = "dev-demo/libgreet"
BUILDERS = 4
PACKAGES = int(os.environ.get("GM_TEST_PACKAGES", "2000"))
KILLS = int(os.environ.get("GM_TEST_KILLS", "50"))
SEED = int(os.environ.get("GM_TEST_SEED", str(random.randrange(10**6))))


@pytest.fixture
def built(tmp_path: Path) -> tuple[Host, Path]:
    host = embedded.make(tmp_path / "host")
    subprocess.run([BIN / "emerge", "-B1q", PKG], env=host.env(PKGDIR=str(tmp_path / "built")), check=True)
    (package,) = (tmp_path / "built" / PKG).iterdir()
    return host, package


class Readers:
    """Threads that read the index again and again, as clients of a web server would get it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.reads, self.by_name, self.torn = folder, 0, 0, []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(2)]

    def __enter__(self) -> "Readers":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for one in self._threads:
            one.join()

    def _read(self) -> None:
        while not self._end.is_set():
            for name, unpacked in (("Packages", bytes), ("Packages.gz", gzip.decompress)):
                try:
                    text = unpacked((self.folder / name).read_bytes())
                except (OSError, EOFError) as error:
                    self.torn.append(f"{name}: {error!r}")
                    continue
                header, _, body = text.partition(b"\n\n")
                told, there = int(stanza.fields(header)["PACKAGES"]), len(list(stanza.each(body)))
                self.reads += 1
                if told != there:
                    self.torn.append(f"{name} tells of {told} and has {there}")
            if stamp.fresh(self.folder):
                shards.entries(self.folder, PKG)
                self.by_name += 1


def test_every_finished_package_is_there_once_whoever_is_killed(built, tmp_path):
    host, package = built
    dice = random.Random(SEED)
    instance(package, host.pkgdir, 1, {})
    subprocess.run([BIN / "gentoomuch", "binhost", "index"], env=host.env(), check=True, capture_output=True)
    share = PACKAGES // BUILDERS
    logs = [tmp_path / f"done-{number}" for number in range(BUILDERS)]
    ends = [1000 * (number + 1) + share for number in range(BUILDERS)]
    nexts = [1000 * (number + 1) for number in range(BUILDERS)]
    kills, began = 0, time.monotonic()

    with Readers(host.pkgdir) as readers:
        running = [start(host, package, *one) for one in zip(nexts, ends, logs, strict=True)]
        while any(one.poll() is None for one in running):
            time.sleep(dice.uniform(0.1, 0.6))
            if kills < KILLS:
                number = dice.randrange(BUILDERS)
                if running[number].poll() is None:
                    running[number].kill()
                    running[number].wait()
                    kills += 1
                    # What it was about may lie there, out of the index; a builder begins with another number.
                    last = max([nexts[number], *map(int, lines(logs[number]))])
                    nexts[number] = last + 2
                    running[number] = start(host, package, nexts[number], ends[number], logs[number])
        assert [one.returncode for one in running] == [0] * BUILDERS

    finished = Counter(int(one) for log in logs for one in lines(log))
    with splice.viewed(host.pkgdir / "Packages") as view:
        entries = [stanza.fields(one) for one in stanza.each(view.data[view.body :])]
    indexed = Counter(int(one["BUILD_ID"]) for one in entries)
    print(
        f"seed {SEED}: {len(finished)} packages by {BUILDERS} builders in {time.monotonic() - began:.0f} s, "
        f"{kills} kills, {readers.reads} reads of the index, {readers.by_name} by name; torn: {readers.torn}"
    )
    assert not readers.torn
    assert {number: indexed[number] for number in finished} == dict.fromkeys(finished, 1)
    ended = subprocess.run([BIN / "gentoomuch", "binhost", "index"], env=host.env(), capture_output=True, check=True)
    checked = subprocess.run(
        [BIN / "gentoomuch", "binhost", "check", "--json"], env=host.env(), capture_output=True, check=False
    )
    assert json.loads(checked.stdout) == [], ended.stderr
    assert stamp.fresh(host.pkgdir)
    assert [*names.read(host.pkgdir)] == [PKG]


def start(host: Host, package: Path, first: int, last: int, log: Path) -> subprocess.Popen:
    words = [sys.executable, Path(__file__).with_name("builder.py"), host.pkgdir, package, str(first), str(last), log]
    return subprocess.Popen(words, env=host.env(), stdout=subprocess.DEVNULL)


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []
