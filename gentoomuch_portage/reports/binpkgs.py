# SPDX-License-Identifier: GPL-2.0-or-later
"""Which binary packages a run of a profile would use, and why it would reject others."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from gentoomuch_portage.binhost.client import session
from gentoomuch_portage.binpkg_filter import cpu as binpkg_filter_cpu
from gentoomuch_portage.binpkg_filter import machine_code
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.isa.requirement import Verdict
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.portage_adapter import binhosts, binpkg_query, isolation
from gentoomuch_portage.portage_adapter.binpkg_query import Offer
from gentoomuch_portage.unmask.policy import Candidate


class UnknownBinpkg(RunError):
    """No available binary package matches the atom."""

    code = "unknown-binpkg"

    def __init__(self, atom: str, why: str = "") -> None:
        super().__init__(why or f"no available binary package matches {atom!r}", hint="gentoomuch binpkg ls")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBinpkg:
    """A binary package with all reject reasons."""

    offer: Offer
    flags: str
    """Flags that it was built with; ``no machine code`` if it has none."""
    code_free: bool
    """Whether it has no machine code, so that every CPU can run it."""
    verdict: Verdict
    """Verdict about the CPU alone."""
    rejected: tuple[tuple[str, str], ...]
    """Plugin and reason of each rejection in a run, except for the CPU."""
    lifted: frozenset[str] = frozenset()
    """Codes of masks that a run would lift, as ``[unmask]`` of the profile allows."""

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Code and text of all reject reasons, those of CPU and plugins first."""
        cpu = () if self.verdict.accept else ((self.verdict.code, self.verdict.reason),)
        return (*cpu, *self.rejected, *(reason for reason in self.offer.against if reason[0] != self.verdict.code))

    @property
    def taken(self) -> bool:
        """Whether a run would use it: it has no reject reason, except for masks that are lifted."""
        return all(code in self.lifted for code, _ in self.reasons)


def judge_binpkgs(
    view: View,
    settings: Settings,
    atoms: str | tuple[str, ...] | None = None,
    *,
    remote: bool = False,
    signatures: bool = False,
) -> list[JudgedBinpkg]:
    """Judge the available binary packages for a profile, best first.

    Args:
        atoms: an atom, or names as ``cat/pkg``; None for all.
        remote: include packages of binhosts.
        signatures: verify signatures.

    Raises:
        UnknownBinpkg: the atom is invalid or matches nothing.
        BinhostSilent, IndexRefused: of a binhost with ``fallback = false``.
    """
    plan = view.plan
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    state, cache = settings.state / plan.profile, settings.cache / "binhosts" / plan.profile
    try:
        with (
            isolation.apart(state=state, cache=cache, build_configroot=lambda: plan.build_configroot),
            _sources(settings, plan.profile) if remote else nullcontext(),
        ):
            offers = binpkg_query.offers(env, atoms, remote=remote, signatures=signatures)
    except LookupError as error:
        raise UnknownBinpkg(str(atoms or ""), str(error)) from error
    if isinstance(atoms, str) and not offers:
        raise UnknownBinpkg(atoms)
    against = Grants(plan, settings).against
    every = (_judge(offer, view, settings, against) for offer in offers)
    return sorted(every, key=lambda judged: (not judged.taken, bool(judged.reasons)))


def _sources(settings: Settings, profile: str) -> AbstractContextManager[None]:
    """Fetch indexes of binhosts as a run does: verified, within limits, and with passwords."""
    asking = session.BinhostSession(settings, profile)
    return binhosts.use_own_downloads(asking.cache, asking.update_index, asking.downloads())


def find_rejected(packages: Iterable[JudgedBinpkg]) -> list[JudgedBinpkg]:
    """Return the packages that the CPU cannot run."""
    return [judged for judged in packages if not judged.verdict.accept]


def _judge(
    offer: Offer, view: View, settings: Settings, against: Callable[[str, Candidate], str | None]
) -> JudgedBinpkg:
    plan = view.plan
    verdict = machine_code.check_binpkg(offer.binpkg, plan, settings)
    needs = binpkg_filter_cpu.find_requirement(offer.binpkg, settings.cache, settings.binhosts, settings.logins)
    arguments = {"binpkg": offer.binpkg, "plan": plan, "settings": settings}
    reasons = manager.each(view.plugins, "gm_reject_binpkg", **arguments)
    rejected = tuple((plugin, reason) for plugin, reason in reasons if plugin != "binpkg")
    what = (offer.binpkg.cpv, offer.binpkg.slot, offer.repository)
    lifted = {mask.code for mask in offer.masked if mask.kind and not against(mask.kind, Candidate(*what, mask.values))}
    return JudgedBinpkg(
        offer=offer,
        flags=needs.description,
        code_free=needs.runs_everywhere,
        verdict=verdict,
        rejected=rejected,
        lifted=frozenset(lifted),
    )
