"""Carries a plan out in this process."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.events.reporter import Watch
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import (
    autounmask,
    binpkg,
    binpkg_filter,
    emerge,
    isolation,
    masks,
    observability,
)
from gentoomuch_portage.portage_adapter.binpkg import Reject
from gentoomuch_portage.portage_adapter.lazy_index import inject, local
from gentoomuch_portage.portage_adapter.patching import environment
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


@hookimpl(trylast=True)
def gm_run_emerge(plan: Plan, settings: Settings, reject: Reject, watch: Watch | None) -> int:
    granted = Grants(plan, settings)
    with ExitStack() as around, closing(granted):
        # Resolving stays in this process: what it is granted has to hold for the merge as well.
        apart_from = {"PORTAGE_CONFIGROOT": plan.configroot, "PORTAGE_FORK_DEP_CALC": "0", **plan.env}
        around.enter_context(environment(apart_from))
        around.enter_context(
            isolation.apart(
                state=settings.state / plan.profile,
                cache=settings.cache / "binhosts" / plan.profile,
                build_configroot=lambda: granted.plan.build_configroot,
            )
        )
        around.enter_context(local.ondemand())
        around.enter_context(inject.injecting(_told))
        around.enter_context(binpkg.recorded(partial(_needed, settings.cache), plan.profile))
        heading = f"CPU features or user patches; profile {plan.profile} has {plan.cpu or 'no -march'}"
        around.enter_context(binpkg_filter.sifted(reject, heading))
        around.enter_context(binpkg_filter.judged(reject))
        if watch is not None:
            around.enter_context(observability.watching(watch))
        lifted = ledger.read(settings.having(ledger.name(plan.profile)), plan.profile)
        if any(one.kind == "mask" for one in lifted):
            around.enter_context(masks.relapsed(partial(_before, lifted, granted), partial(_tell, plan.profile)))
        if granted.possible:
            settle = partial(_settle, granted, watch)
            unmask = autounmask.unmasking(granted.against, granted.grant, settle, profile=plan.profile)
            around.enter_context(unmask)
        return emerge.emerge(plan.words)


def _before(lifted: Iterable[Entry], granted: Grants) -> list[Entry]:
    """What was unmasked before this run, and not anew in it."""
    anew = {one.key for one in granted.needed}
    return [one for one in lifted if one.key not in anew]


def _tell(profile: str, entry: Entry) -> None:
    console.warn(f"{entry.line} was unmasked, but its mask tells of a vulnerability by now: it is masked again")
    console.tell(f"gentoomuch:     try: gentoomuch unmask prune --profile {profile}")


def _settle(granted: Grants, watch: Watch | None) -> None:
    """Enter what was granted in the ledger, and tell of it."""
    granted.settle()
    if watch is not None:
        watch.unmasked(granted.needed)


def _needed(cache: Path, variables: dict[str, str], use: frozenset[str]) -> str:
    """What a package that was just built records of itself."""
    from gentoomuch_portage.isa import resolve  # only where something is built

    return resolve.recording(cache)(variables, use)


def _told(file: Path) -> Mapping[str, str]:
    """What a package tells that comes into an index with shards."""
    from gentoomuch_portage.binpkg import metadata  # only where something is built or fetched

    return metadata.told(file)
