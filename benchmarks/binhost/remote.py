# SPDX-License-Identifier: GPL-2.0-or-later
"""The remote part of ``store.py``: the packages lie on a binhost, which is served from this machine, signed."""

import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from binhosting import machine, published, resign, said, serving

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"
OURS = ["gm-emerge", "--gm-profile=box", "-p", "--nodeps", "-gK", PKG]
THEIRS = ["emerge", "-p", "--nodeps", "-gK", PKG]
Spent = Callable[[Host, list[str]], tuple[float, int]]
"""Seconds of user+sys and KiB of memory of a program on a host."""


def measured(
    folder: Path,
    sizes: Iterable[int],
    limits: dict[int, float],
    pairs: int,
    entries: Callable[[int], Iterable[str]],
    spent: Spent,
) -> bool:
    """Print what it costs to take one of many packages of a binhost; whether a limit is broken.

    Args:
        folder: empty, of a short name, and others may enter it: Portage verifies as nobody.
        entries: of that many packages which are not there.
    """
    server = machine(folder / "s")
    said(server, "emerge", "-B1q", PKG)
    bad, memory = False, []
    key = published(server, folder / "small")
    for packages in sizes:
        client = machine(folder / "c")
        www = shutil.copytree(folder / "small", folder / "www")
        with serving(server, www, "--no-sign") as command:
            said(client, *command, "--fingerprint", key, "--system", "--yes")
            apart = multiprocessing.get_context("fork").Process(
                target=_more, args=(www / "Packages", entries(packages - 1))
            )
            apart.start()  # what this process has had in memory, counts for those that it starts. Source: getrusage(2)
            apart.join()
            resign(server, www)
            times = [(time.monotonic(), spent(client, OURS)[0], time.monotonic()) for _ in range(3)]
            spent(client, THEIRS)  # it fetches the index, too
            found = [(spent(client, OURS), spent(client, THEIRS)) for _ in range(pairs)]
        ratio = statistics.median(one[0] / other[0] for one, other in found)
        kib, theirs = (statistics.median(pair[side][1] for pair in found) for side in (0, 1))
        memory.append(kib)
        began, busy, ended = times[0]
        limit = limits.get(packages, 1.05)
        print(f"{packages} packages on a binhost; with a new index {ended - began:.1f} s, user+sys {busy:.1f} s")
        print(f"   gm-emerge -pgK over emerge -pgK, user+sys: {ratio:.3f} (limit {limit})")
        print(f"   seconds of user+sys of gm-emerge and of emerge: {_median(found, 0):.3f}, {_median(found, 1):.3f}")
        print(f"   MiB of gm-emerge and of emerge: {kib / 1024:.0f}, {theirs / 1024:.0f}")
        bad |= ratio > limit
        shutil.rmtree(www)
        shutil.rmtree(client.folder)
    growth = max(memory) / min(memory)
    print(f"memory: {growth:.3f} of the least at the most (limit 1.1)")
    return bad or growth > 1.1


def _median(found: list[tuple[tuple[float, int], tuple[float, int]]], side: int) -> float:
    return statistics.median(pair[side][0] for pair in found)


def _more(index: Path, entries: Iterable[str]) -> None:
    """Put entries into an index at their places, later than it was."""
    header, _, body = index.read_text().partition("\n\n")
    all_of_them = [f"{one}\n\n" for one in body.split("\n\n") if one] + list(entries)
    all_of_them.sort(key=lambda one: one.partition("CPV: ")[2].partition("\n")[0])
    lines = [line for line in header.split("\n") if not line.startswith(("TIMESTAMP", "PACKAGES"))]
    told = [*lines, f"PACKAGES: {len(all_of_them)}", f"TIMESTAMP: {int(time.time()) + 5}"]
    index.write_text("\n".join(told) + "\n\n" + "".join(all_of_them))
