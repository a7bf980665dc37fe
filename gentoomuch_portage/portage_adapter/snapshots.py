"""What Portage itself tells of runs that are under way, with FEATURES="observability".

Source: _emerge/_observability.py of Portage 3.0.83; before 3.0.83 there is none.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple


class Job(NamedTuple):
    """One package that a run of emerge works on."""

    process: int
    """Of emerge."""
    cpv: str
    root: str
    """EROOT, as Portage has it."""
    phase: str
    """Of the ebuild, ``merge-wait``, or ``build`` or ``merge`` where none has begun."""
    seconds: float
    """Since it began."""
    done: int
    """Packages of the run that are done."""
    total: int


def jobs() -> list[Job]:
    """What is worked on now, by whoever publishes it; nothing where nobody does."""
    try:
        from _emerge._observability import read_snapshots
    except ImportError:
        return []
    from portage.const import EPREFIX

    return [job for snapshot in read_snapshots(EPREFIX) for job in _of(snapshot)]


def _of(snapshot: dict[str, Any]) -> Iterator[Job]:
    if snapshot.get("type") != "snapshot":
        return  # Portage: pass over kinds that you do not know
    counted = snapshot["jobs"]
    for task in snapshot["tasks"]:
        yield Job(
            process=int(snapshot["emerge_pid"]),
            cpv=task["cpv"],
            root=task["root"],
            phase=task["phase"] or task["kind"],
            seconds=float(task["elapsed"] or 0),
            done=int(counted["completed"]),
            total=int(counted["total"]),
        )
