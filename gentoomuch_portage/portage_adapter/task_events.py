# SPDX-License-Identifier: GPL-2.0-or-later
"""Notify a listener of each package and each phase of this run of emerge.

Five kinds of task are timed from start to exit, only in emerge's own process. A child process, as for preinst and
postinst, counts for the task that started it. Portage's observability provides the resource counters of builds.
"""

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from _emerge import BinpkgFetcher, EbuildFetcher, EbuildMerge, EbuildPhase, MergeListItem, PackageMerge
from _emerge.Scheduler import Scheduler
from portage.util._eventloop.global_event_loop import global_event_loop

from gentoomuch_portage.errors import NO_ROOM, refused
from gentoomuch_portage.plan.merge import Merge, MergeListener
from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.binpkg import to_binpkg
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from _emerge import _observability

    from gentoomuch_portage.portage_adapter import user_patches
else:
    user_patches = LazyModule("gentoomuch_portage.portage_adapter.user_patches")
    _observability = LazyModule("_emerge._observability")  # new in Portage 3.0.81

TASK = "task"
"""The phase that contains the fetch and the build of a package."""


class _Run:
    """The state of a run of emerge.

    Attributes:
        merges: EROOT and cpv -> package; empty before the list is resolved.
        resources: cpv -> resource counters of its build.
    """

    def __init__(self, listener: MergeListener) -> None:
        self.listener = listener
        self.process = os.getpid()
        self.merges: dict[tuple[str, str], Merge] = {}
        self.resources: dict[str, dict[str, Any]] = {}


@private_api.optional(private_api.FOLLOW)
@contextmanager
def notify_listener(listener: MergeListener) -> Iterator[None]:
    """Notify a listener of each step of emerge while the block runs."""
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
        others = [(PackageMerge.PackageMerge, "_start", _ending), (Scheduler, "merge", _beginning)]
        if private_api.provides(private_api.RESOURCES):
            others.append((_observability.ObservabilityMonitor, "note_build_resources", _counting))
        for holder, name, wrap in others:
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
            run.listener.on_phase_end(merge, name, _status(task), time.monotonic() - since)
            if name == TASK and _status(task):
                _done(run, merge, task)

        self.addExitListener(ended)
        why = run.listener.on_phase_start(merge, name) or ""
        if not why or refuse is None:
            try:
                plain(self)
            except OSError as error:  # in the event loop it would kill emerge with a traceback
                if refuse is None or error.errno not in NO_ROOM:
                    raise
                why = refused(error, self.settings["EROOT"]).message
        if why and refuse is not None:
            _say(self, merge, why)
            refuse(self)

    return started


def _status(task: Any) -> int:
    return int(task.returncode or 0)


def _refuse_task(task: Any) -> None:
    task.returncode = 1
    task._async_wait()


def _refuse_merge(task: Any) -> None:
    task._start_exit_hook(1)  # releases the locks of the package


def _say(task: Any, merge: Merge, why: str) -> None:
    message = f"\n!!! ={merge.name} is not merged: {why}\n"
    log = task.settings.get("PORTAGE_LOG_FILE")
    task.scheduler.output(message, level=logging.ERROR, noiselevel=-1, log_path=log, background=False)


def _ending(run: _Run, plain: Any) -> Any:
    def start(self: Any) -> None:
        merge = run.merges.get(_of_package(self.merge))
        if merge is not None:
            self.addExitListener(lambda task: _done(run, merge, task))
        plain(self)

    return start


def _done(run: _Run, merge: Merge, task: Any) -> None:
    run.listener.on_package_end(merge, _status(task), run.resources.pop(merge.cpv, {}))


def _counting(run: _Run, plain: Any) -> Any:
    def noted(self: Any, cpv: Any, stats: Any) -> Any:
        resources = plain(self, cpv, stats)
        if resources:
            run.resources[str(cpv)] = dict(resources)
        return resources

    return noted


def _beginning(run: _Run, plain: Any) -> Any:
    def merge(self: Any) -> Any:
        packages = [pkg for pkg in self._mergelist if getattr(pkg, "operation", "") == "merge" and not pkg.installed]
        listed = {(pkg.root, str(pkg.cpv)): _plain(pkg) for pkg in packages}
        goal = "fetch" if self.myopts.get("--fetchonly") else "build" if self.myopts.get("--buildpkgonly") else "merge"
        jobs = self._max_jobs if isinstance(self._max_jobs, int) and self._max_jobs is not True else len(listed)
        run.listener.on_resolved(tuple(listed.values()), goal, max(1, jobs), "--quiet" in self.myopts)
        run.merges = listed
        loop = global_event_loop()

        def tick() -> None:
            run.listener.on_tick()
            ticking[:] = [loop.call_later(1, tick)]

        ticking = [loop.call_later(1, tick)]
        try:
            return plain(self)
        finally:
            ticking[0].cancel()
            run.merges = {}

    return merge


def _plain(pkg: Any) -> Merge:
    """Convert a package of Portage's resolver to plain data."""
    binary = pkg.type_name == "binary"
    binpkg = to_binpkg(pkg) if binary else None
    ebuild = "" if binary else pkg.root_config.trees["porttree"].dbapi.findname(pkg.cpv, myrepo=pkg.repo)
    return Merge(
        cpv=str(pkg.cpv),
        slot=pkg.slot,
        root=pkg.root_config.settings["ROOT"],
        source="binpkg" if binary else "ebuild",
        repository=pkg.repo or "",
        where=binpkg.where if binpkg else ebuild or "",
        build_id=binpkg.build_id if binpkg else 0,
        use=tuple(sorted(set(pkg.use.enabled) & set(pkg.iuse.all))),
        patches=binpkg.patches if binpkg else user_patches.find_digest(pkg.root_config.settings, pkg),
    )
