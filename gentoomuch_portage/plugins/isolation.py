"""Runs the plan in a container where the profile or the command line asks for one."""

from collections.abc import Iterator, Mapping

from gentoomuch_portage import console
from gentoomuch_portage.hookspec import hookimpl
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.plugins import runner
from gentoomuch_portage.portage_adapter.binpkgs import Reject
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.watch import Watch


@hookimpl
def gm_run_emerge(plan: Plan, settings: Settings, reject: Reject, watch: Watch | None) -> int | None:
    if plan.isolation == "none":
        return None
    from gentoomuch_portage.containers import boxes, building, litter, probes, sweeping

    if not building.builds(plan.words):
        return None
    kind = probes.chosen(plan.isolation, settings.cache)
    if kind == "none":
        console.warn("no kind of container works here; this is built on the host (gentoomuch doctor says why)")
        return None
    sweeping.sweep(settings, plan)
    with boxes.folder(settings.cache) as place:
        built = building.Built(1, None)
        try:
            built = building.build(plan, settings, kind, place, watch)
        finally:
            if built.status:
                litter.remove(place)
        if built.merge is None:
            return built.status
        if watch is not None:
            watch.contained(built.made)
        status: int = runner.gm_run_emerge(plan=built.merge, settings=settings, reject=reject, watch=watch)
        return status


@hookimpl
def gm_facts(settings: Settings) -> Iterator[Mapping[str, str]]:
    from gentoomuch_portage.containers import probes, seccomp

    for one in (*probes.remembered(settings.cache), probes.machine()):
        told = {"name": f"container {one.kind}", "state": "good" if one.works else "note"}
        yield {**told, "text": "works" if one.works else one.why, "remedy": one.remedy}
    if error := probes.docker():
        yield {"name": error.kind, "state": "note", "text": error.message, "remedy": error.remedy}
    if seccomp.found() is None:
        text = "without libseccomp containers refuse few system calls"
        yield {"name": "container calls", "state": "note", "text": text, "remedy": "emerge sys-libs/libseccomp"}
