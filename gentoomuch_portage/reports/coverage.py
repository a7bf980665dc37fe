"""How many of the packages that a profile wants it would get from a store, why the others not, and what would help."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter.runtime_deps import Unresolved, Wanted, closure
from gentoomuch_portage.reports import binpkgs
from gentoomuch_portage.reports.binpkgs import Judged


class NoAnswer(RunError):
    """Portage cannot resolve what is asked for, even from source."""

    code = "no-answer"

    def __init__(self, profile: str, told: str) -> None:
        super().__init__(
            f"Portage finds no answer for profile {profile!r}: {told}",
            remedy=f"gm-emerge --gm-profile={profile} -pe --usepkg=n",
        )


class Advice(NamedTuple):
    """A line of configuration that would make a hit of a miss."""

    file: str
    """Below etc/portage."""
    line: str
    cpv: str
    """What would be taken then."""


class Covered(NamedTuple):
    """One package that is wanted."""

    cpv: str
    hit: str
    """The instance that would be taken; empty for a miss."""
    code: str
    """Of a miss: ``none`` (no package of that name), ``version`` (others only), or what stands against the best."""
    reason: str
    advice: Advice | None


def coverage(plan: Plan, settings: Settings, targets: Sequence[str]) -> list[Covered]:
    """Judge what a profile wants, on an empty machine.

    Args:
        plan: laid.
        targets: atoms and sets.

    Raises:
        NoAnswer: Portage finds no answer.
    """
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    try:
        wanted = closure(env, targets)
    except Unresolved as error:
        raise NoAnswer(plan.profile, str(error)) from error
    here = [one for one in wanted if one.root == plan.root] or wanted
    offered = binpkgs.judged(plan, settings, tuple(dict.fromkeys(one.name for one in here)))
    by_name: dict[str, list[Judged]] = {}
    for one in offered:
        by_name.setdefault(_name(one), []).append(one)
    return [_covered(one, by_name.get(one.name, ())) for one in here]


def _name(one: Judged) -> str:
    from gentoomuch_portage.portage_adapter.config import package_of

    return package_of(one.offer.binpkg.cpv)


def _covered(wanted: Wanted, offered: Iterable[Judged]) -> Covered:
    every = list(offered)
    same = [one for one in every if one.offer.binpkg.cpv == wanted.cpv]
    if taken := next((one for one in same if one.taken), None):
        return Covered(wanted.cpv, taken.offer.binpkg.name, "", "", None)
    if same:
        best = min(same, key=lambda one: len(one.reasons))
        code, reason = best.reasons[0]
        return Covered(wanted.cpv, "", code, f"{best.offer.binpkg.name} {reason}", _by_use(wanted, same))
    if other := next((one for one in every if not {code for code, _ in one.reasons} - {"keywords"}), None):
        text = f"there is {other.offer.binpkg.cpv}"
        return Covered(wanted.cpv, "", "version", text, _by_version(wanted, other))
    if every:
        return Covered(wanted.cpv, "", "version", f"there is {every[0].offer.binpkg.cpv}, which would not do", None)
    return Covered(wanted.cpv, "", "none", "there is no package of that name", None)


def _by_use(wanted: Wanted, same: list[Judged]) -> Advice | None:
    """The flags of an instance that only USE stands against; the one with the fewest of them."""
    fitting = [(dict(one.reasons)["use"], one) for one in same if {code for code, _ in one.reasons} == {"use"}]
    if not fitting:
        return None
    reason, one = min(fitting, key=lambda pair: len(pair[0].split()))
    flags = re.sub(r"^it has ", "", reason)
    return Advice("package.use", f"{wanted.name} {flags}", one.offer.binpkg.name)


def _by_version(wanted: Wanted, other: Judged) -> Advice:
    """A line that lets the version that is there be the newest that counts."""
    cpv = other.offer.binpkg.cpv
    if any(code == "keywords" for code, _ in other.reasons):
        return Advice("package.accept_keywords", f"={cpv}", other.offer.binpkg.name)
    return Advice("package.mask", f">{cpv}", other.offer.binpkg.name)
