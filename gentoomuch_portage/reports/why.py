# SPDX-License-Identifier: GPL-2.0-or-later
"""All decisions about a package for a profile: ebuilds, masks, binary packages, patches, builds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import history
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.statements import Line, lines
from gentoomuch_portage.emerge.profile_view import View
from gentoomuch_portage.emerge.unmask_grants import Grants
from gentoomuch_portage.patches.prepare import unknown_package
from gentoomuch_portage.portage_adapter import atoms, ebuilds, installed
from gentoomuch_portage.portage_adapter.binpkg import RECORDED
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild
from gentoomuch_portage.portage_adapter.installed import Installed
from gentoomuch_portage.portage_adapter.masks import Masked
from gentoomuch_portage.portage_adapter.patch_digest import Package, find_applied
from gentoomuch_portage.reports import binpkgs as reports_binpkgs
from gentoomuch_portage.reports.binpkgs import JudgedBinpkg
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import Candidate

BUILDS = 5
"""Number of latest builds to show."""


class Mask(NamedTuple):
    """A mask of an ebuild."""

    kind: str
    """A key of ``[unmask]``, or Portage's name of another mask."""
    reason: str
    """In Portage's words, with the comments of package.mask."""
    against: str
    """Why a run would not unmask it; empty if it would."""


class Version(NamedTuple):
    """An ebuild with its masks."""

    ebuild: Ebuild
    masks: tuple[Mask, ...]
    """Empty if it is visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Decisions about a package."""

    package: str
    """``cat/pkg``."""
    ebuilds: tuple[Version, ...]
    """The lowest version first."""
    installed: tuple[Installed, ...]
    binpkgs: tuple[JudgedBinpkg, ...]
    """Best first."""
    unmasked: tuple[Entry, ...]
    patches: tuple[tuple[str, str, Path], ...]
    """cpv, name and file of each user patch, in the order of application."""
    lines: tuple[Line, ...]
    """Lines about it in package.* of host and layers, in Portage's order."""
    builds: tuple[dict[str, Any], ...]
    """Recorded ``package`` events, the latest last."""


def explain_package(query: str, view: View, settings: Settings) -> Decisions:
    """Collect all decisions about a package.

    Args:
        query: ``pkg``, ``cat/pkg`` or ``cat/pkg-1.0``.

    Raises:
        UsageError[unknown-package]: no package matches.
    """
    env = {"ROOT": view.plan.root, "SYSROOT": "/", **view.plan.env, "PORTAGE_CONFIGROOT": view.plan.configroot}
    name = view.profile.name
    try:
        with ebuilds.opened(env) as opened:
            offered = tuple(opened.means(query))
            against = Grants(view.plan, settings).against
            versions = tuple(Version(ebuild, tuple(_masks(ebuild, opened, against))) for ebuild in offered)
        here = tuple(installed.installed(env, query, (RECORDED,)))
        known = {ebuild.cpv for ebuild in offered} | {package.cpv for package in here}
        stored = _judge_binpkgs(query, known, view, settings)
    except LookupError as error:
        raise unknown_package(query, f"package {query!r} not found for profile {name}: {error}") from error
    every = known | {judged.offer.binpkg.cpv for judged in stored}
    if not every:
        raise unknown_package(query, f"package {query!r} not found for profile {name}")
    package = atoms.package_of(min(every))
    recorded = (build for state in settings.states for build in history.read_packages(state, [name]))
    kept = [build for build in recorded if atoms.package_of(build["cpv"]) == package]
    return Decisions(
        package=package,
        ebuilds=versions,
        installed=here,
        binpkgs=stored,
        unmasked=tuple(
            entry
            for entry in ledger.read(settings.having(ledger.file_name(name)), name)
            if atoms.atom_key(entry.atom) == package
        ),
        patches=tuple(_find_patches(offered, view)),
        lines=tuple(_find_lines(offered, here, view)),
        builds=tuple(build for build in kept if build["cpv"] in every)[-BUILDS:],
    )


def explain_masks(
    masks: Iterable[Masked], identity: tuple[str, str, str], against: Callable[[str, Candidate], str | None]
) -> Iterator[Mask]:
    """Explain the masks of a version.

    Args:
        identity: its cpv, slot and repository.
        against: of the profile's ``Grants``.
    """
    for mask in masks:
        why = against(mask.kind, Candidate(*identity, mask.values)) or "" if mask.kind else "cannot be unmasked"
        comments = f": {mask.values}" if mask.kind == "mask" and mask.values else ""
        yield Mask(mask.kind or mask.code, f"{mask.reason}{comments}", why)


def _masks(ebuild: Ebuild, opened: ebuilds.Ebuilds, against: Callable[[str, Candidate], str | None]) -> Iterator[Mask]:
    identity = (ebuild.cpv, ebuild.slot, ebuild.repository)
    return explain_masks(opened.masked(ebuild), identity, against)


def _judge_binpkgs(query: str, known: set[str], view: View, settings: Settings) -> tuple[JudgedBinpkg, ...]:
    names = tuple(sorted({atoms.package_of(cpv) for cpv in known}))
    try:
        packages = reports_binpkgs.judge_binpkgs(view, settings, names or query)
    except reports_binpkgs.UnknownBinpkg:
        return ()
    exact = not any(query in {name, name.partition("/")[2]} for name in names)
    return tuple(judged for judged in packages if not (names and exact) or judged.offer.binpkg.cpv in known)


def _find_patches(ebuilds: Iterable[Ebuild], view: View) -> Iterator[tuple[str, str, Path]]:
    for ebuild in ebuilds:
        category, name, version, revision = atoms.parted(ebuild.cpv)
        package = Package(category=category, name=name, version=version, revision=revision, slot=ebuild.slot)
        for patch, file in find_applied(view.etc_portage / "patches", package).items():
            at = str(file.relative_to(view.etc_portage))
            yield ebuild.cpv, patch, view.composed.origins.get(at, file)


def _find_lines(ebuilds: Iterable[Ebuild], here: Iterable[Installed], view: View) -> Iterator[Line]:
    """Yield the lines that match one of the versions."""
    versions = {(package.cpv, package.slot, package.repository) for package in ebuilds} or {
        (package.cpv, "", "") for package in here
    }
    for line in lines(view.composed, view.sources):
        atom = line.atom.removeprefix("-")
        if any(atoms.means(atom, cpv, slot, repository) for cpv, slot, repository in versions):
            yield line
