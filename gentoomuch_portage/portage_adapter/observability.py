# SPDX-License-Identifier: GPL-2.0-or-later
"""List the jobs of runs of emerge, which Portage publishes with FEATURES="observability".

Source: _emerge/_observability.py of Portage 3.0.83.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from portage.const import EPREFIX

from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from _emerge import _observability
else:
    _observability = LazyModule("_emerge._observability")


class Job(NamedTuple):
    """A package that a run of emerge is processing."""

    process: int
    """Process ID of emerge."""
    cpv: str
    root: str
    """EROOT in the form of Portage."""
    phase: str
    """Ebuild phase, ``merge-wait``, or ``build`` or ``merge`` before the first phase."""
    seconds: float
    """Time since the phase started."""
    done: int
    """Number of finished packages of the run."""
    total: int


def jobs() -> list[Job]:
    """Return the current jobs of all runs that publish them; none if this Portage cannot.

    Raises:
        MachineError[portage-api-changed]: a name of Portage is missing.
    """
    if private_api.is_older(private_api.JOBS):
        return []
    private_api.require(private_api.JOBS)
    return [job for snapshot in _observability.read_snapshots(EPREFIX) for job in _list_jobs(snapshot)]


def _list_jobs(snapshot: dict[str, Any]) -> Iterator[Job]:
    if snapshot.get("type") != "snapshot":
        return  # Portage asks readers to ignore unknown types
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
