"""What of a ledger is no longer needed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.prepare import lay
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import masks
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


@dataclass(frozen=True, slots=True)
class Shed:
    """An entry, and why it is not needed."""

    entry: Entry
    why: str


def unneeded(plan: Plan, settings: Settings, *, installed_only: bool = False) -> Iterator[Shed]:
    """The entries that a profile can do without.

    Args:
        plan: as it is with its ledger.
        installed_only: only those whose package is no longer installed.
    """
    entries = ledger.read(settings.state, plan.profile)
    without, locks = lay(replace(plan, parts=tuple(one for one in plan.parts if one[0] != "unmask")), settings)
    try:
        env = {"PORTAGE_CONFIGROOT": without.configroot, **without.env}
        for entry, why in zip(entries, masks.why_not(env, entries, installed_only=installed_only), strict=True):
            if why:
                yield Shed(entry, why)
    finally:
        for lock in locks:
            os.close(lock)


def shed(plan: Plan, settings: Settings, *, installed_only: bool = False) -> tuple[Shed, ...]:
    """Take them out of the ledger; what was taken out."""
    gone = tuple(unneeded(plan, settings, installed_only=installed_only))
    keys = {one.entry.key for one in gone}
    if keys:
        ledger.change(settings.state, plan.profile, lambda before: (one for one in before if one.key not in keys))
    return gone
