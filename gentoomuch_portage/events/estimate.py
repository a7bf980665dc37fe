# SPDX-License-Identifier: GPL-2.0-or-later
"""Estimate the remaining time of a run from earlier runs.

``events/progress.py`` subtracts the time of packages that are being built, and the built-in plugin ``progress`` chooses
the runs that count.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

_LATEST = 5
"""Number of the latest builds of a package that count, as compilers and packages change."""
Kind = tuple[str, str]
"""``cat/pkg``, and its source: ``ebuild``, ``binpkg`` or ``container``."""


def find_usual(packages: Iterable[Mapping[str, Any]], named: Mapping[str, str]) -> dict[Kind, float]:
    """Return the usual seconds of packages: the median of their latest builds.

    Args:
        packages: ``package`` events of the history, oldest first; failed ones are ignored.
        named: cpv -> ``cat/pkg`` of the packages.
    """
    wanted = set(named.values())
    durations: dict[Kind, list[float]] = {}
    for package in packages:
        name = next((cp for cp in wanted if _is_version(package["cpv"], cp)), "")
        if name and package["status"] == 0:
            durations.setdefault((name, package["source"]), []).append(float(package["seconds"]))
    return {kind: median(seconds[-_LATEST:]) for kind, seconds in durations.items()}


def _is_version(cpv: str, cp: str) -> bool:
    """Whether a cpv is a version of ``cat/pkg``: a version starts with a digit."""
    return cpv.startswith(f"{cp}-") and cpv[len(cp) + 1 : len(cp) + 2].isdigit()


def remaining(running: Sequence[float], waiting: Sequence[float], jobs: int) -> float:
    """Return the seconds until all packages are done, if each free job takes the next package in order.

    Args:
        running: remaining seconds of each running package.
        waiting: seconds of each waiting package, in emerge's order.
        jobs: maximum number of running packages.
    """
    free = sorted([*running, *([0.0] * max(0, jobs - len(running)))])
    heapq.heapify(free)
    last = max(free, default=0.0)
    for seconds in waiting:
        end = heapq.heappop(free) + seconds
        heapq.heappush(free, end)
        last = max(last, end)
    return last


def format_duration(seconds: float) -> str:
    """Format a duration: ``40 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
