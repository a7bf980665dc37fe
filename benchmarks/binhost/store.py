# SPDX-License-Identifier: GPL-2.0-or-later
"""``python benchmarks/binhost/store.py [PACKAGES ...]``: what the index by name saves, at 1,000, 10,000 and 100,000.

Prints user+sys and memory of ``gm-emerge -p --nodeps -k PKG`` over those of plain ``emerge``, in pairs of one run, the
same with ``-gK`` where the packages lie on a binhost (remote.py), and what one more package costs until it is in the
index, by ours and by Portage alone. Costs are user+sys of the process, as everywhere here: nothing of it waits for a
disk, and other programs would count in time by the clock. What one more package costs is told and held by the clock,
with user+sys beside it, for that is mostly the disk's. The exit status is 1 where a limit is broken.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import remote
from binhosting import open_folder
from repacking import instance

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent
PKG = "dev-demo/libgreet"
LIMITS = {1_000: 1.05, 10_000: 0.7, 100_000: 0.15}
"""Packages -> ratio at most."""
MOST_MS = 50.0
"""By the clock, for one more package at 100,000."""
PAIRS = 7
OF_A_NAME = 4


def main(sizes: list[int]) -> int:
    """Measure; the exit status."""
    bad = False
    with tempfile.TemporaryDirectory(prefix="gm-store-") as name:
        folder = Path(name)
        host = demo_host.make(folder / "host")
        host.profile("old", 'cpu = "x86-64"\n')
        built = build(host)
        memory = []
        for packages in sizes:
            pkgdir = folder / f"{packages}"
            first = shelve(host, built, pkgdir, packages)
            pairs = [(spent(host, pkgdir, ours=True), spent(host, pkgdir, ours=False)) for _ in range(PAIRS)]
            ratio = statistics.median(one[0] / other[0] for one, other in pairs)
            kib, theirs = (statistics.median(pair[side][1] for pair in pairs) for side in (0, 1))
            memory.append(kib)
            mine, clock, portages = published(host, built, pkgdir)
            limit = LIMITS.get(packages, 1.05)
            print(f"{packages} packages, shards made in {first:.1f} s")
            print(f"   gm-emerge -pk over emerge -pk, user+sys: {ratio:.3f} (limit {limit})")
            print(f"   MiB of gm-emerge and of emerge: {kib / 1024:.0f}, {theirs / 1024:.0f}")
            print(f"   ms for one more: {clock:.0f} by the clock, {mine:.0f} user+sys; by Portage alone {portages:.0f}")
            bad |= ratio > limit or (packages >= 100_000 and clock > MOST_MS)
            shutil.rmtree(pkgdir)
    growth = max(memory) / min(memory)
    print(f"memory: {growth:.3f} of the least at the most (limit 1.1)")
    with open_folder() as folder:
        bad |= remote.measured(folder, sizes, LIMITS, PAIRS, entries, cost)
    return int(bad or growth > 1.1)


def build(host: Host) -> Path:
    subprocess.run(
        [BIN / "gm-emerge", "--gm-profile=old", "-B1q", PKG], env=host.env(), check=True, capture_output=True
    )
    (built,) = (host.pkgdir / PKG).iterdir()
    return built


def shelve(host: Host, built: Path, pkgdir: Path, packages: int) -> float:
    """A folder with one real package and an index that goes on and on; the seconds that its shards took."""
    instance(built, pkgdir, 1, {})
    told = {"check": True, "capture_output": True}
    subprocess.run([BIN / "emaint", "binhost", "--fix"], env=host.env(PKGDIR=str(pkgdir)), **told)
    with (pkgdir / "Packages").open("a", encoding="utf-8") as index:
        index.writelines(entries(packages - 1))
    began = time.monotonic()
    query = [BIN / "gentoomuch", "binhost", "query", "--dir", pkgdir, "dev-demo/nothing"]
    subprocess.run(query, env=host.env(), **told)
    taken = time.monotonic() - began
    injected(host, built, pkgdir, [2], ours=True)  # compresses Packages.gz in members, once
    return taken


def entries(packages: int) -> Iterator[str]:
    """Entries of an index, of packages that are not there."""
    for number in range(packages):
        name = f"app-gen{number // OF_A_NAME % 97}/package{number // OF_A_NAME}"
        cpv = f"{name}-{number % OF_A_NAME}.{number % 11}"
        yield (
            f"BUILD_ID: 1\nBUILD_TIME: {1_500_000_000 + number}\nCPV: {cpv}\nDEFINED_PHASES: compile install\n"
            f"DEPEND: dev-demo/libgreet:=\nEAPI: 8\nIUSE: doc test\nKEYWORDS: amd64 arm64\nLICENSE: GPL-2+\n"
            f"MD5: {number:032x}\nPATH: {name}/{cpv.rpartition('/')[2]}-1.gpkg.tar\n"
            f"RDEPEND: dev-demo/libgreet:0/1=\nSHA1: {number:040x}\n"
            f"SIZE: {20_000 + number}\nMTIME: {1_500_000_000 + number}\nREPO: gm-demo\n\n"
        )


def spent(host: Host, pkgdir: Path, *, ours: bool) -> tuple[float, int]:
    """Seconds of user+sys, and KiB of memory at the most."""
    words = [*(["gm-emerge", "--gm-profile=old"] if ours else ["emerge"]), "-p", "--nodeps", "-k", PKG]
    return cost(host, words, PKGDIR=str(pkgdir))


def cost(host: Host, words: list[str], **env: str) -> tuple[float, int]:
    """Seconds of user+sys, and KiB of memory at the most, of a program that finds the one package there is."""
    env = host.env(**env, PYTHONHASHSEED="0")
    with tempfile.TemporaryFile() as out:
        run = subprocess.Popen([str(BIN / words[0]), *words[1:]], env=env, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode("utf-8", "replace")
    if run.returncode or not re.search(rf"^\[binary .*\] {PKG}-1\.0", said, re.M):
        raise SystemExit(f"{' '.join(words)} ended with {run.returncode}:\n{said}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def published(host: Host, built: Path, pkgdir: Path) -> tuple[float, float, float]:
    """Milliseconds until one more package is in the index: by ours user+sys and by the clock, and of Portage alone."""
    ours = injected(host, built, pkgdir, range(3, 14), ours=True)[1:]
    busy, clock = (statistics.median(one[side] for one in ours) for side in (0, 1))
    return busy, clock, injected(host, built, pkgdir, range(14, 16), ours=False)[1][0]


def injected(host: Host, built: Path, pkgdir: Path, numbers: Iterable[int], *, ours: bool) -> list[tuple[float, float]]:
    """Let one process take instances into a folder, as one run of emerge does; milliseconds of each, user+sys and all.

    The first one pays for imports, which a run that built something has behind it.
    """
    new = [instance(built, pkgdir.parent / "new", number, {}) for number in numbers]
    words = [sys.executable, __file__, "--inject", pkgdir, str(int(ours)), *new]
    ended = subprocess.run(words, env=host.env(), check=True, capture_output=True, text=True)
    found = iter(map(float, ended.stdout.split()))
    return [*zip(found, found, strict=True)]


def inject(pkgdir: Path, packages: list[str], *, ours: bool) -> Iterator[float]:
    """Let Portage take packages into a folder; milliseconds of each, user+sys and then by the clock.

    What it reads before is not counted.
    """
    from contextlib import ExitStack

    from portage.versions import _pkg_str

    from gentoomuch_portage.binpkg.metadata import read_index_fields
    from gentoomuch_portage.portage_adapter.lazy_index import inject as lazy_index_inject
    from gentoomuch_portage.portage_adapter.lazy_index import local
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir as opened

    with ExitStack() as around:
        if ours:
            around.enter_context(local.ondemand())
            around.enter_context(lazy_index_inject.injecting(read_index_fields))
        tree = opened(pkgdir).tree
        tree.populate()
        for new in packages:
            began, busy = time.perf_counter(), _busy()
            if tree.inject(_pkg_str(f"{PKG}-1.0"), current_pkg_path=new) is None:
                raise SystemExit("it was not taken")
            yield 1000 * (_busy() - busy)
            yield 1000 * (time.perf_counter() - began)


def _busy() -> float:
    """Seconds of user+sys of this process and of those that it has started."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inject"]:
        print(*inject(Path(sys.argv[2]), sys.argv[4:], ours=sys.argv[3] == "1"))
    else:
        sys.exit(main([int(word) for word in sys.argv[1:]] or [*LIMITS]))
