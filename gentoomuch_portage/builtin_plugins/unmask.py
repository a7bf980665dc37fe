# SPDX-License-Identifier: GPL-2.0-or-later
"""``[unmask]``: add ledger entries to the configroot, and the unmask policy to the plan."""

from collections.abc import Iterator

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.plan.plan import Line, Locked, Part, Plan, Unmask
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.unmask import ledger, policy


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    policy_option = request.options.get("unmask")
    for entry in ledger.read(settings.having(ledger.file_name(profile.name)), profile.name):
        yield Line(ledger.FILES[entry.kind], entry.line)
    _check(profile)
    for kind, allowed in policy.format_policy(profile.unmask, policy_option).items():
        yield Unmask(kind, allowed)
    if "locked" in request.options:
        yield Locked("--gm-locked")


def _check(profile: Profile) -> None:
    """Reject invalid atoms, which would silently match no package."""
    for kind, allowed in profile.unmask.items():
        for atom in () if isinstance(allowed, bool) else allowed:
            from gentoomuch_portage.portage_adapter import atoms  # most profiles name none

            if not atoms.is_atom(atom):
                where = profile.where(kind, atom, table="unmask")
                raise BadFile(
                    where,
                    0,
                    f"{kind}: {atom!r} is not an atom",
                    code="bad-setting",
                    hint=f'{kind} = ["category/package"]',
                )


@hookimpl
def gm_after_run(plan: Plan, settings: Settings, status: int) -> None:
    if status or not ledger.read(settings.state, plan.profile):
        return
    from gentoomuch_portage.emerge.prune_ledger import prune
    from gentoomuch_portage.portage_adapter import emerge_arguments

    if emerge_arguments.parse(plan.arguments).removes:
        prune(plan, settings, installed_only=True)
