"""``[unmask]``: what was unmasked before stands in the configroot, and what may be unmasked now in the plan."""

from collections.abc import Iterator

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadSetting
from gentoomuch_portage.plan.plan import Line, Locked, Part, Plan, Unmask
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import config, emerge
from gentoomuch_portage.unmask import ledger, policy


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    said = request.said.get("unmask")
    for entry in ledger.read(settings.having(ledger.name(profile.name)), profile.name):
        yield Line(ledger.FILES[entry.kind], entry.line)
    _check(profile)
    for kind, allowed in policy.allowed(profile.unmask, said).items():
        yield Unmask(kind, allowed)
    if "locked" in request.said:
        yield Locked("--gm-locked")


def _check(profile: Profile) -> None:
    """Refuse what is to be unmasked and is no atom, which would mean no package without a word."""
    for kind, allowed in profile.unmask.items():
        for atom in () if isinstance(allowed, bool) else allowed:
            if not config.is_atom(atom):
                where = profile.where(kind, atom, table="unmask")
                raise BadSetting(where, 0, f"{kind}: {atom!r} is no atom", remedy=f'{kind} = ["category/package"]')


@hookimpl
def gm_after_run(plan: Plan, settings: Settings, status: int) -> None:
    if status == 0 and ledger.read(settings.state, plan.profile) and emerge.removes(plan.words):
        from gentoomuch_portage.emerge.prune_ledger import shed

        shed(plan, settings, installed_only=True)
