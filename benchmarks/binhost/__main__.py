# SPDX-License-Identifier: GPL-2.0-or-later
"""``python benchmarks/binhost [PACKAGES] [RUNS]``: what the filter costs on a binhost of 100,000 packages.

Prints user+sys of ``gm-emerge -pg`` over that of plain ``emerge -pg`` once both are warm, and the bytes that are read
of each candidate when nothing is known yet. The exit status is 1 where a limit is broken.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from repacking import instance
from serving import Server, serving

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

BIN = Path(sys.executable).parent
PKG = "dev-demo/libgreet"
MOST_RATIO = 1.15
MOST_READ = 64 << 10
"""Bytes of one candidate."""
INSTANCES = 10
"""Of the package that is asked for; the fourth is the newest that fits."""

EVEN, ODD = range(2, INSTANCES + 1, 2), range(1, INSTANCES, 2)


def main(packages: int, runs: int) -> int:
    """Measure; the exit status."""
    with tempfile.TemporaryDirectory(prefix="gm-binhost-") as name:
        folder = Path(name)
        host = demo_host.make(folder / "host")
        host.profile("old", 'cpu = "x86-64"\n')
        shelve(host, folder / "www", packages)
        with serving(folder / "www") as server:
            cold(host, server)
            read = server.sent
            server.asked.clear()
            ratio = warm(host, server, runs)
            later = server.files()
    most = max(read.values())
    print(f"{packages} packages, {INSTANCES} instances of the one that is asked for, {len(read)} looked into when cold")
    median = statistics.median(read.values())
    print(f"bytes read of a candidate when cold: most {most}, median {median:.0f} (limit {MOST_READ})")
    print(f"looked into when warm: {len(later)}")
    print(f"gm-emerge -pg over emerge -pg, user+sys, warm: {ratio:.3f} (limit {MOST_RATIO})")
    return int(most > MOST_READ or ratio > MOST_RATIO or bool(later))


def shelve(host: Host, folder: Path, packages: int) -> None:
    """A binhost: instances of a real package, half of them gpkg, and an index that goes on and on."""
    noise = random.Random(1).randbytes(30_000).hex()[:40_000]
    told = {"check": True, "capture_output": True}
    shelf = folder.parent / "built"
    for form, suffix, numbers in (("gpkg", ".gpkg.tar", EVEN), ("xpak", ".xpak", ODD)):
        env = host.env(BINPKG_FORMAT=form, BINPKG_COMPRESS="zstd", PKGDIR=str(shelf))
        subprocess.run([BIN / "emerge", "-B1q", PKG], env=env, **told)
        (built,) = (shelf / PKG).glob(f"*{suffix}")
        for number in numbers:
            march = "x86-64" if number <= INSTANCES - 3 else "x86-64-v4"
            flags = {"CFLAGS": f"-O2 -march={march}", "CXXFLAGS": "-O2", "environment.bz2": noise}
            instance(built, folder, number, flags)
    subprocess.run([BIN / "emaint", "binhost", "--fix"], env=host.env(PKGDIR=str(folder)), **told)
    with (folder / "Packages").open("a", encoding="utf-8") as index:
        index.writelines(entries(packages - INSTANCES))
    (folder / "Packages.gz").unlink(missing_ok=True)


def entries(packages: int) -> Iterator[str]:
    """Entries of an index, of packages that are not there."""
    for number in range(packages):
        cpv = f"app-gen{number % 97}/package{number // 3}-{number % 3}.{number % 11}"
        yield (
            f"BUILD_ID: 1\nBUILD_TIME: {1_500_000_000 + number}\nCPV: {cpv}\nDEFINED_PHASES: compile install\n"
            f"DEPEND: dev-demo/libgreet:=\nEAPI: 8\nIUSE: doc test\nKEYWORDS: amd64 arm64\nLICENSE: GPL-2+\n"
            f"MD5: {number:032x}\nPATH: {cpv}-1.gpkg.tar\nRDEPEND: dev-demo/libgreet:0/1=\nSHA1: {number:040x}\n"
            f"SIZE: {20_000 + number}\nMTIME: {1_500_000_000 + number}\nREPO: gm-demo\n\n"
        )


def cold(host: Host, server: Server) -> None:
    """The first run of each: indexes are fetched, candidates are looked into."""
    for words in (plain(), ours()):
        spent(host, server, words)


def warm(host: Host, server: Server, runs: int) -> float:
    """The median of what the one costs over what the other costs, in pairs."""
    pairs = [(spent(host, server, ours()), spent(host, server, plain())) for _ in range(runs)]
    for one, other in pairs:
        print(f"   gm-emerge {one:.2f} s, emerge {other:.2f} s")
    return statistics.median(one / other for one, other in pairs)


def plain() -> list[str]:
    return ["emerge", "-pg", PKG]


def ours() -> list[str]:
    return ["gm-emerge", "--gm-profile=old", "-pg", PKG]


def spent(host: Host, server: Server, words: list[str]) -> float:
    """Seconds of user+sys that a run takes, with all its children."""
    with tempfile.TemporaryFile() as out:
        run = subprocess.Popen(
            [str(BIN / words[0]), *words[1:]],
            env=host.env(PORTAGE_BINHOST=server.url, PYTHONHASHSEED="0"),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode("utf-8", "replace")
    taken = f"{PKG}-1.0-{INSTANCES - 3 if words[0] == 'gm-emerge' else INSTANCES}"
    if run.returncode or taken not in said:
        raise SystemExit(f"{' '.join(words)} ended with {run.returncode} and did not take {taken}:\n{said}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    told = [int(word) for word in sys.argv[1:]]
    sys.exit(main(told[0] if told else 100_000, told[1] if told[1:] else 5))
