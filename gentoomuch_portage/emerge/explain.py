# SPDX-License-Identifier: GPL-2.0-or-later
"""``--gm-explain``: print the plan of a run, and do nothing."""

from dataclasses import replace

from gentoomuch_portage import console
from gentoomuch_portage.containers import build, spec
from gentoomuch_portage.emerge.prepare import Prepared
from gentoomuch_portage.plan.plan import Mounted, Plan


def explain(prepared: Prepared) -> int:
    """Print a plan with the mounts of its container; return the exit status."""
    print_plan(_add_mounts(prepared), as_json=prepared.request.options["explain"] == "json")
    return 0


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print a plan."""
    console.print_result(plan.to_json().rstrip() if as_json else console.format_plan(plan))


def _add_mounts(prepared: Prepared) -> Plan:
    plan = prepared.plan
    if plan.isolation == "none":
        return plan
    mounts = build.list_mounts(plan, prepared.settings)
    parts = tuple(("isolation", Mounted(spec.mount_type(mount), mount.target, str(mount))) for mount in mounts)
    return replace(plan, parts=(*plan.parts, *parts))
