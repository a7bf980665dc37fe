"""Runs the plan in a container where the profile or the command line asks for one."""

from collections.abc import Iterator, Mapping

from gentoomuch_portage import console
from gentoomuch_portage.builtin_plugins import runner
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.events.reporter import Watch
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Reject


@hookimpl
def gm_run_emerge(plan: Plan, settings: Settings, reject: Reject, watch: Watch | None) -> int | None:
    if plan.isolation == "none":
        return None
    from gentoomuch_portage.containers import build, cleanup, detect, lifecycle

    if not build.builds(plan.words):
        return None
    kind = detect.chosen(plan.isolation, settings.cache)
    if kind == "none":
        console.warn("no kind of container works here; this is built on the host (gentoomuch doctor says why)")
        return None
    cleanup.sweep(settings, plan)
    with lifecycle.folder(settings.cache) as place:
        built = build.Built(1, None)
        try:
            built = build.build(plan, settings, kind, place, watch)
        finally:
            if built.status:
                cleanup.remove(place)
        if built.merge is None:
            return built.status
        if watch is not None:
            watch.contained(built.made)
        status: int = runner.gm_run_emerge(plan=built.merge, settings=settings, reject=reject, watch=watch)
        return status


@hookimpl
def gm_facts(settings: Settings) -> Iterator[Mapping[str, str]]:
    from gentoomuch_portage.containers import detect, seccomp

    for one in (*detect.remembered(settings.cache), detect.machine()):
        told = {"name": f"container {one.kind}", "state": "good" if one.works else "note"}
        yield {**told, "text": "works" if one.works else one.why, "remedy": one.remedy}
    if error := detect.docker():
        yield {"name": error.kind, "state": "note", "text": error.message, "remedy": error.remedy}
    if seccomp.found() is None:
        text = "without libseccomp containers refuse few system calls"
        yield {"name": "container calls", "state": "note", "text": text, "remedy": "emerge sys-libs/libseccomp"}
