# SPDX-License-Identifier: GPL-2.0-or-later
"""Remove the entries of a ledger that are no longer needed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cache import build_configroots
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import mask_needed
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An entry, and why it is not needed."""

    entry: Entry
    why: str


def find_unneeded(plan: Plan, settings: Settings, *, installed_only: bool = False) -> Iterator[Unneeded]:
    """Find the entries that a profile does not need.

    Args:
        plan: the plan with its ledger.
        installed_only: only entries whose package is no longer installed.
    """
    entries = ledger.read(settings.state, plan.profile)
    parts = tuple((plugin, part) for plugin, part in plan.parts if plugin != "unmask")
    without, locks = build_configroots(replace(plan, parts=parts), settings)
    try:
        env = {"PORTAGE_CONFIGROOT": without.configroot, **without.env}
        for entry, why in zip(entries, mask_needed.why_not(env, entries, installed_only=installed_only), strict=True):
            if why:
                yield Unneeded(entry, why)
    finally:
        for lock in locks:
            os.close(lock)


def prune(plan: Plan, settings: Settings, *, installed_only: bool = False) -> tuple[Unneeded, ...]:
    """Remove the entries that a profile does not need, and return them."""
    unneeded = tuple(find_unneeded(plan, settings, installed_only=installed_only))
    keys = {item.entry.key for item in unneeded}
    if keys:
        ledger.change(
            settings.state, plan.profile, lambda entries: (entry for entry in entries if entry.key not in keys)
        )
    return unneeded
