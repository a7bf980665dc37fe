# SPDX-License-Identifier: GPL-2.0-or-later
"""``python benchmarks/isolation [TIMES]``: how long each kind of container takes to start, and a fresh root of 1 GB.

The added time is how much longer ``/bin/true`` takes in a container than without, in milliseconds: the median of TIMES
(default: 10). The exit status is 1 if a limit is exceeded. On a machine with more load than CPUs, limits apply to
user+sys, as everything else waits for others.

``python benchmarks/isolation --against DIR [PAIRS]``: what the start of a fresh root costs in user+sys, over what it
costs with the work tree of another commit in DIR; both in turn. The exit status is 1 where the median is too high.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import demo_host
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.containers import detect, lifecycle
from gentoomuch_portage.demo_host import Host

LIMITS = {"bwrap": 100, "unshare": 100}
"""Kind -> the most that it may add, in milliseconds."""
FRESH = 1000
"""The most that a fresh root may take until its command runs and has ended, in milliseconds."""
RATIO = 0.8
"""The most that a start may cost of what it costs with commit dfeccc0, which searched the host for what is private."""
USED = 1024
"""KiB: the empty folders of overlays, and nothing of the root."""
SIZE = 1 << 30
GENTOOMUCH = (sys.executable, str(Path(sys.executable).parent / "gentoomuch"))


def main(times: int) -> int:
    """Measure; the exit status."""
    with tempfile.TemporaryDirectory(prefix="gm-isolation-") as name:
        return kinds(Path(name), times) + fresh(Path(name), times) and 1


_MAIN = """import sys
sys.argv[0] = "gentoomuch"
try:
    from gentoomuch_portage.cli.main import main
except ImportError:  # before modules were moved into packages
    from gentoomuch_portage.cli import main
sys.exit(main())
"""


def against(folder: Path, other: Path, pairs: int) -> int:
    """Start a fresh root with this work tree and with another one in turn; whether this one costs too much."""
    host = demo_host.make(folder / "host")
    host.profile("here", "")
    ratios = []
    for number in range(pairs + 1):
        trees = [("this", Path(__file__).parents[2]), ("other", other.absolute())]
        costs = {name: _cost(host, name, tree) for name, tree in (trees if number % 2 else reversed(trees))}
        if number:  # the first one fills the caches
            ratios.append(costs["this"] / costs["other"])
    median_ratio = statistics.median(ratios)
    print(
        f"user+sys of a start, {pairs} pairs: {median_ratio:.2f} ({min(ratios):.2f}..{max(ratios):.2f}), limit {RATIO}"
    )
    return int(median_ratio > RATIO)


def _cost(host: Host, name: str, tree: Path) -> float:
    """User+sys of one start with the code of a work tree."""
    env = host.env(PYTHONPATH=str(tree), GM_CACHE=str(host.eprefix / "var/cache" / name))
    main_of = [sys.executable, "-P", "-c", _MAIN, "--quiet"]  # -P: not the code of the directory that we are started in
    words = [*main_of, "freshroot", "here", "--isolation", "unshare", "--", "/bin/true"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Taken(NamedTuple):
    """Milliseconds that something takes."""

    real: float
    cpu: float
    """User+sys of all programs that ran for it."""

    def __sub__(self, other: "Taken") -> "Taken":  # type: ignore[override]
        return Taken(self.real - other.real, self.cpu - other.cpu)

    def over(self, limit: float) -> bool:
        """Whether it takes longer than that, on a machine that may have other things to do."""
        busy = os.getloadavg()[0] > (os.cpu_count() or 1)
        return (self.cpu if busy else self.real) > limit


def median(times: int, work: Callable[[], object]) -> Taken:
    """What something takes; once more before that, for the caches."""
    work()
    found = []
    for _ in range(times):
        begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        work()
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        found.append((time.perf_counter() - begun, cpu))
    real, cpus = zip(*found, strict=True)
    return Taken(statistics.median(real) * 1000, statistics.median(cpus) * 1000)


def kinds(folder: Path, times: int) -> int:
    """Print how much time a container of each kind adds to ``/bin/true``, and return how many limits are exceeded."""
    plain = median(times, lambda: subprocess.run(["/bin/true"], check=True))
    python = median(times, lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) - plain
    print(f"{'':10}{'adds ms':>9}{'CPU ms':>9}{'limit':>7}{'x Python':>10}")
    print(f"{'Python':10}{python.real:9.1f}{python.cpu:9.1f}{'':>7}{1:10.2f}")
    broken = 0
    for kind in isolation_kinds.AUTOMATIC:
        result = detect.probe(kind, folder)
        if not result.works:
            print(f"{kind:10}{'-':>9}  {result.reason}")
            continue
        adds = median(times, lambda kind=kind: run_in_container(kind, folder)) - plain
        limit = LIMITS.get(kind)
        over = bool(limit and adds.over(limit))
        broken += over
        print(
            f"{kind:10}{adds.real:9.1f}{adds.cpu:9.1f}{limit or '-':>7}{adds.real / python.real:10.2f}"
            f"{'  over' if over else ''}"
        )
    return broken


def run_in_container(kind: str, folder: Path) -> None:
    """Run ``/bin/true`` in a container."""
    with lifecycle.run_directory(folder) as run:
        ran = lifecycle.start(kind, detect.smallest(run, ("/bin/true",)), keep=True)
    if ran.status:
        raise SystemExit(f"{kind} ended with {ran.status}: {ran.err}")


def fresh(folder: Path, times: int) -> int:
    """``gentoomuch freshroot`` of a root with 1 GB in it; how many limits are broken."""
    host = demo_host.make(folder / "host")
    root = folder / "root"
    root.mkdir()
    with (root / "much").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, SIZE)
    host.profile("router", f'cpu = "x86-64"\nroot = "{root}"\n')
    words = [*GENTOOMUCH, "--quiet", "freshroot", "router", "--"]
    takes = median(times, lambda: subprocess.run([*words, "true"], env=host.env(), check=True))
    alone = median(times, lambda: subprocess.run([*GENTOOMUCH, "--version"], env=host.env(), check=True, stdout=-3))
    used = _used(host, words)
    print(
        f"freshroot of 1 GB: {takes.real:.0f} ms, {takes.cpu:.0f} ms of CPU (limit {FRESH}), "
        f"{takes.real / alone.real:.1f} x gentoomuch --version; {used} KiB used"
    )
    return int(takes.over(FRESH)) + int(used > USED)


def _used(host: Host, words: list[str]) -> int:
    """KiB on disk that a fresh root takes while one is in there."""
    place = host.eprefix / "var/cache/gentoomuch/containers"
    with subprocess.Popen([*words, "sh", "-c", "echo; read line"], env=host.env(), stdin=-1, stdout=-1) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        found = [path.lstat().st_blocks for path in place.glob("run-*/upper/**/*")]
        inside.communicate(b"\n")
    return sum(found) // 2


if __name__ == "__main__":
    if sys.argv[1:2] == ["--against"]:
        with tempfile.TemporaryDirectory(prefix="gm-isolation-") as name:
            sys.exit(against(Path(name), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 10))
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
