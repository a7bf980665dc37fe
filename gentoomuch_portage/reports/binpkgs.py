"""Which binary packages run where: offers of the store, held against profiles."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gentoomuch_portage.binpkg_filter import cpu as binpkg_filter_cpu
from gentoomuch_portage.binpkg_filter import user_patches
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.isa.requirement import Verdict
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import binpkg_query, isolation
from gentoomuch_portage.portage_adapter.binpkg_query import Offer
from gentoomuch_portage.unmask.policy import Candidate


class UnknownBinpkg(RunError):
    """No binary package on offer matches an atom."""

    code = "unknown-binpkg"

    def __init__(self, asked: str, why: str = "") -> None:
        super().__init__(why or f"no binary package on offer matches {asked!r}", remedy="gentoomuch binpkg ls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An instance, and everything against it."""

    offer: Offer
    flags: str
    """What it was built with, in words."""
    verdict: Verdict
    """Of the CPU alone."""
    patches: str
    """Why its user patches are not those of the profile; empty where they are."""
    lifted: frozenset[str] = frozenset()
    """Codes of reasons that a run would lift by itself, as ``[unmask]`` of the profile says."""

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Code and text of all that stands against it, the CPU and user patches first; empty where there is nothing."""
        cpu = () if self.verdict.accept else ((self.verdict.code, self.verdict.reason),)
        patches = (("patches", self.patches),) if self.patches else ()
        return (*cpu, *patches, *(one for one in self.offer.against if one[0] != self.verdict.code))

    @property
    def taken(self) -> bool:
        """Whether a run that needs it takes it: nothing stands against it that is not lifted."""
        return all(code in self.lifted for code, _ in self.reasons)


def judged(
    plan: Plan,
    settings: Settings,
    asked: str | tuple[str, ...] | None = None,
    *,
    remote: bool = False,
    signatures: bool = False,
) -> list[Judged]:
    """What a profile would make of the binary packages on offer, best first.

    Args:
        plan: laid.
        asked: an atom, or names, ``cat/pkg``; None for all.
        remote: also what binhosts offer.
        signatures: also verify theirs.

    Raises:
        UnknownBinpkg: the atom is none, or matches nothing.
    """
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    state, cache = settings.state / plan.profile, settings.cache / "binhosts" / plan.profile
    try:
        with isolation.apart(state=state, cache=cache, build_configroot=lambda: plan.build_configroot):
            found = binpkg_query.offers(env, asked, remote=remote, signatures=signatures)
    except LookupError as error:
        raise UnknownBinpkg(str(asked or ""), str(error)) from error
    if isinstance(asked, str) and not found:
        raise UnknownBinpkg(asked)
    against = Grants(plan, settings).against
    every = (_judge(one, plan, settings, against) for one in found)
    return sorted(every, key=lambda one: (not one.taken, bool(one.reasons)))


def refused(found: Iterable[Judged]) -> list[Judged]:
    """Those that the CPU cannot run."""
    return [one for one in found if not one.verdict.accept]


def _judge(offer: Offer, plan: Plan, settings: Settings, against: Callable[[str, Candidate], str | None]) -> Judged:
    verdict = binpkg_filter_cpu.verdict(offer.binpkg, plan, settings)
    told = binpkg_filter_cpu.needed_by(offer.binpkg, settings.cache, settings.binhosts).told
    patches = user_patches.against(offer.binpkg, plan, settings) or ""
    what = (offer.binpkg.cpv, offer.binpkg.slot, offer.repository)
    lifted = {one.code for one in offer.masked if one.kind and not against(one.kind, Candidate(*what, one.told))}
    return Judged(offer=offer, flags=told, verdict=verdict, patches=patches, lifted=frozenset(lifted))
