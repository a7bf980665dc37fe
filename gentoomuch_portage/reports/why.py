"""All that is decided about one package for one profile, gathered from where each decision is made."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import history
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.statements import Line, lines
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.errors import UsageError
from gentoomuch_portage.patches.digest import Package, applied
from gentoomuch_portage.portage_adapter import config, ebuilds, installed, user_patches
from gentoomuch_portage.portage_adapter.binpkg import RECORDED
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild
from gentoomuch_portage.portage_adapter.installed import Installed
from gentoomuch_portage.reports import binpkgs as reports_binpkgs
from gentoomuch_portage.reports.binpkgs import Judged
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import Candidate

BUILDS = 5
"""So many of the latest builds are told."""


class KnownNowhere(UsageError):
    """No ebuild, installed package or binary package has a name."""

    code = "known-nowhere"

    def __init__(self, asked: str, profile: str, why: str = "") -> None:
        told = f"profile {profile} knows no package {asked!r}{f': {why}' if why else ''}"
        super().__init__(told, remedy="write category/package, with a version or without")
        self.asked = asked


class Mask(NamedTuple):
    """One thing that masks an ebuild."""

    kind: str
    """As ``[unmask]`` names it, or what else Portage holds against it."""
    reason: str
    """In Portage's words, with the comments of package.mask."""
    against: str
    """Why a run would not lift it by itself; empty where it would."""


class Version(NamedTuple):
    """An ebuild, and what masks it."""

    ebuild: Ebuild
    masks: tuple[Mask, ...]
    """Empty where it is visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """About one package."""

    package: str
    """``cat/pkg``."""
    ebuilds: tuple[Version, ...]
    """The lowest version first."""
    installed: tuple[Installed, ...]
    binpkgs: tuple[Judged, ...]
    """Best first."""
    unmasked: tuple[Entry, ...]
    patches: tuple[tuple[str, str, Path], ...]
    """cpv, name and file of the user patches of each version that has any, in the order in which they are applied."""
    lines: tuple[Line, ...]
    """What the host and the layers say of it in package.*, in the order in which Portage reads it."""
    builds: tuple[dict[str, Any], ...]
    """``package`` events of the record, the latest last."""


def of(asked: str, view: View, settings: Settings) -> Decisions:
    """All that is decided about a package.

    Args:
        asked: ``pkg``, ``cat/pkg`` or ``cat/pkg-1.0``.

    Raises:
        KnownNowhere: there is none.
    """
    env = {"ROOT": view.plan.root, "SYSROOT": "/", **view.plan.env, "PORTAGE_CONFIGROOT": view.plan.configroot}
    name = view.profile.name
    try:
        with ebuilds.opened(env) as opened:
            offered = tuple(opened.means(asked))
            against = Grants(view.plan, settings).against
            versions = tuple(Version(one, tuple(_masks(one, opened, against))) for one in offered)
        here = tuple(installed.installed(env, asked, (RECORDED,)))
        known = {one.cpv for one in offered} | {one.cpv for one in here}
        stored = _stored(asked, known, view, settings)
    except LookupError as error:
        raise KnownNowhere(asked, name, str(error)) from error
    every = known | {one.offer.binpkg.cpv for one in stored}
    if not every:
        raise KnownNowhere(asked, name)
    package = config.package_of(min(every))
    recorded = (one for state in settings.states for one in history.packages(state, [name]))
    kept = [one for one in recorded if config.package_of(one["cpv"]) == package]
    return Decisions(
        package=package,
        ebuilds=versions,
        installed=here,
        binpkgs=stored,
        unmasked=tuple(
            one for one in ledger.read(settings.having(ledger.name(name)), name) if config.atom_key(one.atom) == package
        ),
        patches=tuple(_patched(offered, view)),
        lines=tuple(_said(offered, here, view)),
        builds=tuple(one for one in kept if one["cpv"] in every)[-BUILDS:],
    )


def _masks(ebuild: Ebuild, opened: ebuilds.Ebuilds, against: Callable[[str, Candidate], str | None]) -> Iterator[Mask]:
    for one in opened.masked(ebuild):
        candidate = Candidate(ebuild.cpv, ebuild.slot, ebuild.repository, one.told)
        why = against(one.kind, candidate) or "" if one.kind else "nothing lifts that"
        comments = f": {one.told}" if one.kind == "mask" and one.told else ""
        yield Mask(one.kind or one.code, f"{one.reason}{comments}", why)


def _stored(asked: str, known: set[str], view: View, settings: Settings) -> tuple[Judged, ...]:
    names = tuple(sorted({config.package_of(cpv) for cpv in known}))
    try:
        found = reports_binpkgs.judged(view.plan, settings, names or asked)
    except reports_binpkgs.UnknownBinpkg:
        return ()
    exact = not any(asked in {name, name.partition("/")[2]} for name in names)
    return tuple(one for one in found if not (names and exact) or one.offer.binpkg.cpv in known)


def _patched(found: Iterable[Ebuild], view: View) -> Iterator[tuple[str, str, Path]]:
    for one in found:
        category, name, version, revision = user_patches.parted(one.cpv)
        package = Package(category=category, name=name, version=version, revision=revision, slot=one.slot)
        for patch, file in applied(view.shown / "patches", package).items():
            at = str(file.relative_to(view.shown))
            yield one.cpv, patch, view.composed.origins.get(at, file)


def _said(found: Iterable[Ebuild], here: Iterable[Installed], view: View) -> Iterator[Line]:
    """Lines that mean one of the versions."""
    asked = {(one.cpv, one.slot, one.repository) for one in found} or {(one.cpv, "", "") for one in here}
    for line in lines(view.composed, view.sources):
        atom = line.atom.removeprefix("-")
        if any(config.means(atom, cpv, slot, repository) for cpv, slot, repository in asked):
            yield line
