"""How long a run will still take, by what earlier runs took."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

_LATEST = 5
"""So many of the latest builds of a package are looked at: compilers and packages change."""
Kind = tuple[str, str]
"""``cat/pkg``, and its source: ``ebuild``, ``binpkg`` or ``container``."""


def usual(packages: Iterable[Mapping[str, Any]], named: Mapping[str, str]) -> dict[Kind, float]:
    """Seconds that a package usually takes: the median of its latest builds.

    Args:
        packages: ``package`` events of the record, the oldest first; those that failed tell nothing.
        named: cpv -> ``cat/pkg``, of the packages in question.
    """
    wanted = set(named.values())
    found: dict[Kind, list[float]] = {}
    for one in packages:
        name = next((cp for cp in wanted if _of(one["cpv"], cp)), "")
        if name and one["status"] == 0:
            found.setdefault((name, one["source"]), []).append(float(one["seconds"]))
    return {kind: median(seconds[-_LATEST:]) for kind, seconds in found.items()}


def _of(cpv: str, cp: str) -> bool:
    """Whether a cpv is one of a package: a version begins with a digit."""
    return cpv.startswith(f"{cp}-") and cpv[len(cp) + 1 : len(cp) + 2].isdigit()


def remaining(running: Sequence[float], waiting: Sequence[float], jobs: int) -> float:
    """Seconds until all is done, where each job takes the next in order as soon as it is free.

    Args:
        running: what each of those that run now will still take.
        waiting: what each of those that wait will take, in emerge's order.
        jobs: how many run at a time.
    """
    free = sorted([*running, *([0.0] * max(0, jobs - len(running)))])
    heapq.heapify(free)
    last = max(free, default=0.0)
    for seconds in waiting:
        end = heapq.heappop(free) + seconds
        heapq.heappush(free, end)
        last = max(last, end)
    return last


def spoken(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2 h 05 min``: no more exact than an estimate is."""
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
