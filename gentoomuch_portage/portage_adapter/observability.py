"""What Portage itself tells of runs that are under way, with FEATURES="observability".

Source: _emerge/_observability.py of Portage 3.0.83; before 3.0.83 there is none.

What emerge does with each package, told while it does it.

Five kinds of task are timed, each from its start to its exit, in emerge's own process alone: what runs in a child of it
(preinst and postinst, within the merge) is part of what the child was started for. What the kernel counted
for a build is what Portage's own observability keeps.
"""

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol

from gentoomuch_portage.plan.merge import Merge
from gentoomuch_portage.portage_adapter.binpkg import shown
from gentoomuch_portage.portage_adapter.patching import swapped


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


class Listener(Protocol):
    """Who is told; must not raise, but in ``resolved``, which may end the run by a GmError."""

    def resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """What emerge is about to do; once a run, before anything is fetched."""

    def entered(self, merge: Merge, phase: str) -> str | None:
        """A phase begins; ``task`` is the whole package up to its merge. Why it must not, or None."""

    def left(self, merge: Merge, phase: str, status: int, seconds: float) -> None:
        """A phase ended."""

    def done(self, merge: Merge, status: int, resources: dict[str, Any]) -> None:
        """A package ended."""

    def tick(self) -> None:
        """A second has passed."""


TASK = "task"
"""The phase that spans a package's fetching and building."""


class _Run:
    """What is known while emerge runs.

    Attributes:
        merges: by EROOT and cpv; empty before the list is resolved.
        resources: what the kernel counted for a build, by cpv.
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.process = os.getpid()
        self.merges: dict[tuple[str, str], Merge] = {}
        self.resources: dict[str, dict[str, Any]] = {}


@contextmanager
def watching(listener: Listener) -> Iterator[None]:
    """As long as the block runs, a listener hears what emerge does."""
    from _emerge import BinpkgFetcher, EbuildFetcher, EbuildMerge, EbuildPhase, MergeListItem, PackageMerge
    from _emerge._observability import ObservabilityMonitor
    from _emerge.Scheduler import Scheduler

    run = _Run(listener)
    with ExitStack() as held:
        for task, phase, key, refuse in (
            (MergeListItem.MergeListItem, lambda _: TASK, _of_package, _refuse_task),
            (EbuildFetcher.EbuildFetcher, lambda _: "fetch", _of_package, None),
            (BinpkgFetcher.BinpkgFetcher, lambda _: "fetch", _of_package, None),
            (EbuildPhase.EbuildPhase, lambda self: self.phase, _of_settings, None),
            (EbuildMerge.EbuildMerge, lambda _: "merge", _of_package, _refuse_merge),
        ):
            held.enter_context(swapped(task, "_start", _timing(run, task._start, phase, key, refuse)))
        for holder, name, wrap in (
            (PackageMerge.PackageMerge, "_start", _ending),
            (ObservabilityMonitor, "note_build_resources", _counting),
            (Scheduler, "merge", _beginning),
        ):
            plain = getattr(holder, name)
            held.enter_context(swapped(holder, name, functools.wraps(plain)(wrap(run, plain))))
        yield


def _of_package(task: Any) -> tuple[str, str]:
    return task.pkg.root, str(task.pkg.cpv)


def _of_settings(task: Any) -> tuple[str, str]:
    return task.settings["EROOT"], str(task.settings.mycpv)


def _timing(
    run: _Run,
    plain: Any,
    phase: Callable[[Any], str],
    key: Callable[[Any], tuple[str, str]],
    refuse: Callable[[Any], None] | None,
) -> Any:
    @functools.wraps(plain)
    def started(self: Any) -> None:
        merge = run.merges.get(key(self)) if run.merges and os.getpid() == run.process else None
        if merge is None:
            plain(self)
            return
        name, since = phase(self), time.monotonic()

        def ended(task: Any) -> None:
            run.listener.left(merge, name, _status(task), time.monotonic() - since)
            if name == TASK and _status(task):
                _done(run, merge, task)

        self.addExitListener(ended)
        why = run.listener.entered(merge, name)
        if why and refuse is not None:
            _say(self, merge, why)
            refuse(self)
        else:
            plain(self)

    return started


def _status(task: Any) -> int:
    return int(task.returncode or 0)


def _refuse_task(task: Any) -> None:
    task.returncode = 1
    task._async_wait()


def _refuse_merge(task: Any) -> None:
    task._start_exit_hook(1)  # lets go of what is locked for the package


def _say(task: Any, merge: Merge, why: str) -> None:
    said = f"\n!!! ={merge.name} is not merged: {why}\n"
    log = task.settings.get("PORTAGE_LOG_FILE")
    task.scheduler.output(said, level=logging.ERROR, noiselevel=-1, log_path=log, background=False)


def _ending(run: _Run, plain: Any) -> Any:
    def start(self: Any) -> None:
        merge = run.merges.get(_of_package(self.merge))
        if merge is not None:
            self.addExitListener(lambda task: _done(run, merge, task))
        plain(self)

    return start


def _done(run: _Run, merge: Merge, task: Any) -> None:
    run.listener.done(merge, _status(task), run.resources.pop(merge.cpv, {}))


def _counting(run: _Run, plain: Any) -> Any:
    def noted(self: Any, cpv: Any, stats: Any) -> Any:
        kept = plain(self, cpv, stats)
        if kept:
            run.resources[str(cpv)] = dict(kept)
        return kept

    return noted


def _beginning(run: _Run, plain: Any) -> Any:
    def merge(self: Any) -> Any:
        found = [pkg for pkg in self._mergelist if getattr(pkg, "operation", "") == "merge" and not pkg.installed]
        listed = {(pkg.root, str(pkg.cpv)): _plain(pkg) for pkg in found}
        options = self._build_opts
        goal = "fetch" if options.fetchonly else "build" if options.buildpkgonly else "merge"
        jobs = self._max_jobs if isinstance(self._max_jobs, int) and self._max_jobs is not True else len(listed)
        run.listener.resolved(tuple(listed.values()), goal, max(1, jobs), "--quiet" in self.myopts)
        run.merges = listed
        loop = self._event_loop

        def tick() -> None:
            run.listener.tick()
            ticking[:] = [loop.call_later(1, tick)]

        ticking = [loop.call_later(1, tick)]
        try:
            return plain(self)
        finally:
            ticking[0].cancel()
            run.merges = {}

    return merge


def _plain(pkg: Any) -> Merge:
    """A package of Portage's resolver as plain data."""
    binary = pkg.type_name == "binary"
    told = shown(pkg) if binary else None
    ebuild = "" if binary else pkg.root_config.trees["porttree"].dbapi.findname(pkg.cpv, myrepo=pkg.repo)
    return Merge(
        cpv=str(pkg.cpv),
        slot=pkg.slot,
        root=pkg.root_config.settings["ROOT"],
        source="binpkg" if binary else "ebuild",
        repository=pkg.repo or "",
        where=told.where if told else ebuild or "",
        build_id=told.build_id if told else 0,
        use=tuple(sorted(set(pkg.use.enabled) & set(pkg.iuse.all))),
        patches=told.patches if told else str(pkg.root_config.settings.userPatchDigest(pkg)),
    )
