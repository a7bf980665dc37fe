# SPDX-License-Identifier: GPL-2.0-or-later
"""Run emerge for a plan in this process."""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import RunListener, hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Reject
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry

if TYPE_CHECKING:
    from gentoomuch_portage.emerge.unmask_grants import Grants


@hookimpl(trylast=True)
def gm_run_emerge(plan: Plan, settings: Settings, reject: Reject, listener: RunListener | None) -> int:
    from gentoomuch_portage.emerge.unmask_grants import Grants
    from gentoomuch_portage.portage_adapter import (
        autounmask,
        binpkg_build,
        binpkg_filter,
        emerge,
        isolation,
        lazy_index,
        private_api,
        remask,
        task_events,
    )

    granted = Grants(plan, settings)
    with ExitStack() as stack, closing(granted):
        # The resolver runs in this process: its unmasks also apply to the merge.
        apart_from = {"PORTAGE_CONFIGROOT": plan.configroot, "PORTAGE_FORK_DEP_CALC": "0", **plan.env}
        stack.enter_context(isolation.variables(dict(os.environ), apart_from))
        stack.enter_context(
            isolation.apart(
                state=settings.state / plan.profile,
                cache=settings.cache / "binhosts" / plan.profile,
                build_configroot=lambda: granted.plan.build_configroot,
            )
        )
        stack.enter_context(lazy_index.by_name(_use_shards))
        stack.enter_context(binpkg_build.recorded(partial(_format_requirement, settings.cache), plan.profile))
        heading = f"CPU features or user patches; profile {plan.profile} has {plan.cpu or 'no -march'}"
        stack.enter_context(binpkg_filter.hide_rejected(reject, heading))
        stack.enter_context(binpkg_filter.check_fetched(reject))
        if listener is not None:
            stack.enter_context(task_events.notify_listener(listener))
        lifted = ledger.read(settings.having(ledger.file_name(plan.profile)), plan.profile)
        if any(entry.kind == "mask" for entry in lifted):
            stack.enter_context(
                remask.relapsed(partial(_find_earlier, lifted, granted), partial(_warn_masked, plan.profile))
            )
        if granted.possible:
            settle = partial(_settle, granted, listener)
            unmask = autounmask.unmasking(granted.against, granted.grant, settle, profile=plan.profile)
            stack.enter_context(unmask)
        list_written = partial(_list_written, plan, settings)
        return emerge.emerge(plan.arguments, find_cause=private_api.find_cause, list_written=list_written)


def _list_written(plan: Plan, settings: Settings) -> list[str]:
    """List the directories that a run writes to; last those that are often read-only by intent."""
    from gentoomuch_portage.portage_adapter import config  # only a run that fails needs it

    values = {**config.load(Path(plan.configroot)).values, **os.environ, **plan.env}
    first, *others = (values[name] for name in ("PORTAGE_TMPDIR", "PKGDIR", "PORTAGE_LOGDIR", "DISTDIR"))
    return [first, str(settings.state), str(settings.cache), plan.root, *others]


def _find_earlier(lifted: Iterable[Entry], granted: "Grants") -> list[Entry]:
    """Return the entries of earlier runs that this run has not added again."""
    new = {entry.key for entry in granted.needed}
    return [entry for entry in lifted if entry.key not in new]


def _warn_masked(profile: str, entry: Entry) -> None:
    console.warning(f"{entry.line} was unmasked, but its mask mentions a vulnerability now: it is masked again")
    console.info(f"gentoomuch:     hint: gentoomuch unmask prune --profile {profile}")


def _settle(granted: "Grants", listener: RunListener | None) -> None:
    """Write the grants to the ledger, and report them."""
    granted.settle()
    if listener is not None:
        listener.on_unmasked(granted.needed)


def _format_requirement(cache: Path, variables: dict[str, str], use: frozenset[str]) -> str:
    """Return the requirement that a new package records."""
    from gentoomuch_portage.isa import resolve  # only for builds

    return resolve.recorder(cache)(variables, use)


def _use_shards() -> AbstractContextManager[None]:
    """Use the index by name."""
    from gentoomuch_portage.portage_adapter.lazy_index import inject  # only for a PKGDIR that has shards

    return inject.reading_and_injecting(_read_index_fields)


def _read_index_fields(file: Path) -> Mapping[str, str]:
    """Read the metadata of a package for an index with shards."""
    from gentoomuch_portage.binpkg import metadata  # only for builds and downloads

    return metadata.read_index_fields(file)
