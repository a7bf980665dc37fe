# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages of a profile are available as binary packages, why others are not, and what would help."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.portage_adapter.atoms import package_of
from gentoomuch_portage.portage_adapter.closure import Unresolved, Wanted, closure
from gentoomuch_portage.reports import binpkgs
from gentoomuch_portage.reports.binpkgs import JudgedBinpkg


def unresolvable(profile: str, reason: str) -> RunError:
    """Portage cannot resolve the dependencies, even if everything is built from source."""
    return RunError(
        f"Portage cannot resolve the packages of profile {profile!r}: {reason}",
        code="unresolvable",
        hint=f"gm-emerge --gm-profile={profile} -pe --usepkg=n",
    )


class Advice(NamedTuple):
    """A line of configuration that would turn a miss into a hit."""

    file: str
    """Below etc/portage."""
    line: str
    cpv: str
    """The binary package that would be used then."""


class Covered(NamedTuple):
    """A package that the profile needs."""

    cpv: str
    hit: str
    """The binary package that would be used; empty for a miss."""
    code: str
    """Reason of a miss: ``none`` (no such package), ``version`` (other versions), or the best one's reject reason."""
    reason: str
    advice: Advice | None


def compute_coverage(view: View, settings: Settings, targets: Sequence[str]) -> list[Covered]:
    """Check the packages of a profile, as on an empty machine.

    Args:
        targets: atoms and sets.

    Raises:
        RunError[unresolvable]: Portage cannot resolve them.
    """
    plan = view.plan
    env = {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}
    try:
        wanted = closure(env, targets)
    except Unresolved as error:
        raise unresolvable(plan.profile, str(error)) from error
    here = [package for package in wanted if package.root == plan.root] or wanted
    offered = binpkgs.judge_binpkgs(view, settings, tuple(dict.fromkeys(package.name for package in here)))
    by_name: dict[str, list[JudgedBinpkg]] = {}
    for judged in offered:
        by_name.setdefault(_name(judged), []).append(judged)
    return [_covered(package, by_name.get(package.name, ())) for package in here]


def _name(judged: JudgedBinpkg) -> str:
    return package_of(judged.offer.binpkg.cpv)


def _covered(wanted: Wanted, offered: Iterable[JudgedBinpkg]) -> Covered:
    every = list(offered)
    same = [judged for judged in every if judged.offer.binpkg.cpv == wanted.cpv]
    if taken := next((judged for judged in same if judged.taken), None):
        return Covered(wanted.cpv, taken.offer.binpkg.name, "", "", None)
    if same:
        best = min(same, key=lambda judged: len(judged.reasons))
        code, reason = best.reasons[0]
        return Covered(wanted.cpv, "", code, f"{best.offer.binpkg.name} {reason}", _by_use(wanted, same))
    if other := next((judged for judged in every if not {code for code, _ in judged.reasons} - {"keywords"}), None):
        text = f"available: {other.offer.binpkg.cpv}"
        return Covered(wanted.cpv, "", "version", text, _by_version(wanted, other))
    if every:
        return Covered(wanted.cpv, "", "version", f"available, but rejected: {every[0].offer.binpkg.cpv}", None)
    return Covered(wanted.cpv, "", "none", "no package with that name", None)


def _by_use(wanted: Wanted, same: list[JudgedBinpkg]) -> Advice | None:
    """Return the flags that would make a binary package usable; the fewest, if only USE rejects some."""
    fitting = [
        (dict(judged.reasons)["use"], judged) for judged in same if {code for code, _ in judged.reasons} == {"use"}
    ]
    if not fitting:
        return None
    reason, nearest_match = min(fitting, key=lambda pair: len(pair[0].split()))
    flags = re.sub(r"^it has ", "", reason)
    return Advice("package.use", f"{wanted.name} {flags}", nearest_match.offer.binpkg.name)


def _by_version(wanted: Wanted, other: JudgedBinpkg) -> Advice:
    """Return a line that selects the available version."""
    cpv = other.offer.binpkg.cpv
    if any(code == "keywords" for code, _ in other.reasons):
        return Advice("package.accept_keywords", f"={cpv}", other.offer.binpkg.name)
    return Advice("package.mask", f">{cpv}", other.offer.binpkg.name)
