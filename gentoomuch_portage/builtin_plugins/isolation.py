# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the plan in a container if the profile or the command line requires it."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage.builtin_plugins import runner
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import RunListener, hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Reject


@hookimpl
def gm_run_emerge(plan: Plan, settings: Settings, reject: Reject, listener: RunListener | None) -> int | None:
    if plan.isolation == isolation_kinds.NONE:
        return None
    from gentoomuch_portage.containers import build, cleanup, detect, lifecycle

    if not build.may_build(plan.arguments):
        return None
    kind = detect.resolve_or_host(plan.isolation, settings.cache)
    if kind == isolation_kinds.NONE:
        return None
    cleanup.recover(settings, plan)
    with lifecycle.run_directory(settings.cache) as place:
        with _sharing_failures(plan, settings, place):
            built = build.build(plan, settings, kind, place, listener)
        if built.merge is None:
            return built.status
        if listener is not None:
            listener.on_container_built(built.packages)
        only = functools.partial(build.reject_others, built.fetched, reject)
        status: int = runner.gm_run_emerge(plan=built.merge, settings=settings, reject=only, listener=listener)
        return status


@contextmanager
def _sharing_failures(plan: Plan, settings: Settings, run: Path) -> Iterator[None]:
    """Share with the containers of a run which packages of binhosts failed, also those that fail in a container."""
    from gentoomuch_portage.containers import build

    if not build.uses_binhosts(plan):
        yield
        return
    from gentoomuch_portage.binhost.client import session

    folder = settings.rejected(plan.profile)
    for name in (build.FETCH_FAILURES, build.BUILD_FAILURES):
        session.lend_failures(folder, run / name)
    yield
    session.take_failures(run / build.FETCH_FAILURES, folder, lasting=True)
    session.take_failures(run / build.BUILD_FAILURES, folder, lasting=False)  # an ebuild may have written them


@hookimpl
def gm_facts(settings: Settings) -> Iterator[Mapping[str, str]]:
    from gentoomuch_portage.containers import detect, seccomp

    for probe in (*detect.cached_probes(settings.cache), detect.machine()):
        fact = {"name": f"container {probe.kind}", "state": "good" if probe.works else "note"}
        yield {**fact, "text": "works" if probe.works else probe.reason, "hint": probe.hint}
    if error := detect.docker():
        yield {"name": isolation_kinds.DOCKER, "state": "note", "text": error.message, "hint": error.hint}
    if seccomp.find_library() is None:
        text = "without libseccomp, containers block only a few system calls"
        yield {"name": "container calls", "state": "note", "text": text, "hint": "emerge sys-libs/libseccomp"}
