# SPDX-License-Identifier: GPL-2.0-or-later
"""Check the patch sets of a profile without building, and find files that two sets change."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.configroot.layers import patch_name
from gentoomuch_portage.errors import nearest
from gentoomuch_portage.patches import dry_run, lint, parse
from gentoomuch_portage.patches.lint import Remark
from gentoomuch_portage.patches.patch_set import SetFile, list_files
from gentoomuch_portage.plan.plan import Patches
from gentoomuch_portage.portage_adapter import ebuilds as portage_ebuilds
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild, Ebuilds, Prepare
from gentoomuch_portage.portage_adapter.patch_digest import Package, find_applied


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One problem of a patch."""

    file: Path
    """The patch; the profile for an installed package."""
    line: int
    """From 1; 0 for the whole file."""
    kind: str
    """``link``, ``place``, ``empty``, ``binary``, ``outside``, ``no-patch``, ``name``, ``version``, ``slot``, ``fuzz``,
    ``upstream``, ``level``, ``conflict``, ``endings``, ``stale``, ``unprepared`` or ``changed``."""
    text: str
    package: str = ""
    """The version to which it was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The packages and settings for which sets are checked."""

    ebuilds: Ebuilds
    env: Mapping[str, str]
    """PORTAGE_CONFIGROOT and ROOT of the profile."""
    beside: Path
    """The etc/portage/patches of the host and of the layers, without the sets."""
    config: Path
    cache: Path
    prepare: Prepare
    """Runs an ebuild where the profile builds."""


def check_sets(sets: Iterable[Patches], world: World) -> Iterator[Finding]:
    """Generate the findings of the sets of one profile, in order."""
    sets = tuple(sets)
    patches = [patch for part in sets for patch in list_files(part.name, part.folder)]
    targets: dict[SetFile, list[Ebuild]] = {}
    for patch in patches:
        remarks = list(lint.find_remarks(patch, world.config))
        yield from (_finding(patch, remark) for remark in remarks)
        if patch.category:
            ebuilds, remark = _find_ebuilds(patch, world.ebuilds)
            if remark is not None:
                yield _finding(patch, remark)
            if ebuilds and patch.file.is_file() and not patch.file.stat().st_size:
                yield from _check_empty(patch, ebuilds, patches)
            if not any(remark.stops for remark in remarks):
                targets[patch] = ebuilds
    yield from _try_patches(sets, targets, world)


def _finding(patch: SetFile, remark: Remark, package: str = "") -> Finding:
    return Finding(patch.file, remark.line, remark.kind, remark.text, package)


def package(ebuild: Ebuild) -> Package:
    """Return an ebuild as a ``Package``."""
    return Package(
        category=ebuild.category,
        name=ebuild.name,
        version=ebuild.version,
        revision=ebuild.revision,
        slot=ebuild.slot,
    )


def _find_ebuilds(patch: SetFile, ebuilds: Ebuilds) -> tuple[list[Ebuild], Remark | None]:
    """Return the versions that a patch applies to, or a remark on the name of its directory."""
    name, _, slot = patch.package.partition(":")
    known = ebuilds.packages(patch.category)
    candidates = [
        ebuild
        for pn in known
        if name == pn or name.startswith(f"{pn}-")
        for ebuild in ebuilds.versions(f"{patch.category}/{pn}")
    ]
    matching = [ebuild for ebuild in candidates if patch.package in package(ebuild).folders]
    if matching:
        return matching, None
    if others := [ebuild for ebuild in candidates if name in package(ebuild).folders]:
        slots = ", ".join(sorted({ebuild.slot for ebuild in others}))
        return [], Remark("slot", f"no version of {patch.category}/{name} has slot {slot} (there are: {slots})")
    if candidates:
        versions = ", ".join(ebuild.pf for ebuild in candidates)
        return [], Remark("version", f"matches no version of any ebuild (there are: {versions})")
    near = nearest(name, known) or (nearest(patch.category, ebuilds.categories()) if not known else "")
    hint = f"; {near} ?" if near else ""
    return [], Remark("name", f"no repository has a package {patch.category}/{name}{hint}")


def _check_empty(patch: SetFile, ebuilds: Iterable[Ebuild], patches: Iterable[SetFile]) -> Iterator[Finding]:
    """Report an empty file, unless it disables a patch of a less specific directory."""
    for ebuild in ebuilds:
        folders = package(ebuild).folders
        less = {(patch.set, patch.category, name, patch.file.name) for name in folders[: folders.index(patch.package)]}
        if any((other.set, other.category, other.package, other.file.name) in less for other in patches):
            return
    text = "is empty, which disables a patch of the same name; no such patch exists"
    yield Finding(patch.file, 0, "empty", text)


def _try_patches(sets: tuple[Patches, ...], targets: Mapping[SetFile, list[Ebuild]], world: World) -> Iterator[Finding]:
    """Apply all patches of each version that the profile could choose."""
    versions = {ebuild.cpv: ebuild for ebuilds in targets.values() for ebuild in choose_versions(ebuilds)}
    with tempfile.TemporaryDirectory(prefix="gm-patches-") as folder:
        top = Path(folder)
        owners = _link_patches(sets, targets, world.beside, top)
        for cpv, ebuild in sorted(versions.items()):
            patches = find_applied(top, package(ebuild))
            try:
                prepared = portage_ebuilds.prepared(ebuild, world.env, world.cache, world.prepare)
            except portage_ebuilds.Unprepared as error:
                first = next(patch for patch, ebuilds in targets.items() if ebuild in ebuilds)
                yield Finding(first.file, 0, "unprepared", error.message, cpv)
                continue
            for outcome in dry_run.try_patches(patches, prepared.tree):
                if outcome.kind and (owner := owners.get(patches[outcome.name])):
                    yield Finding(owner.file, outcome.line, outcome.kind, outcome.text, cpv)


def _link_patches(
    sets: tuple[Patches, ...], targets: Mapping[SetFile, list[Ebuild]], beside: Path, into: Path
) -> dict[Path, SetFile]:
    """Link patches into the layout of a configroot; return link -> patch."""
    owners: dict[Path, SetFile] = {}
    turns = {part.name: number for number, part in enumerate(sets)}
    for other in beside.glob("*/*/*"):
        target = into / other.relative_to(beside)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(other)
    for patch in targets:
        name = patch_name(turns[patch.set], len(sets), patch.set, patch.file.name)
        target = into / patch.category / patch.package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(patch.file)
        owners[target] = patch
    return owners


def choose_versions(ebuilds: Iterable[Ebuild]) -> list[Ebuild]:
    """Return the versions that the profile could choose: all unmasked ones, or else the best of each slot."""
    ebuilds = tuple(ebuilds)
    best = {ebuild.slot: ebuild for ebuild in ebuilds}
    return [ebuild for ebuild in ebuilds if ebuild.visible] or list(best.values())


@dataclass(frozen=True, slots=True)
class Overlap:
    """A file that patches of two sets change."""

    package: str
    """``CAT/PN``."""
    name: str
    """Of the file, within the sources."""
    places: tuple[tuple[Path, int], ...]
    """File and line of each, in the order of the sets."""
    sets: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line for people, with all places."""
        where = " and ".join(f"{path}:{line}" for path, line in self.places)
        return f"patch sets {' and '.join(map(repr, self.sets))} both change {self.name} of {self.package}: {where}"


def find_overlaps(parts: Iterable[Patches]) -> Iterator[Overlap]:
    """Find files that several sets change, in order."""
    parts = tuple(parts)
    if len(parts) < 2:
        return
    changes: dict[tuple[str, str], list[tuple[SetFile, int]]] = {}
    for part in parts:
        for patch in list_files(part.name, part.folder):
            if patch.category and patch.file.is_file():
                _record_changes(changes, patch)
    for (package, name), patches in changes.items():
        if len({patch.set for patch, _ in patches}) > 1:
            first = {patch.set: (patch.file, line) for patch, line in reversed(patches)}
            order = tuple(part.name for part in parts if part.name in first)
            yield Overlap(package, name, tuple(first[part] for part in order), order)


def _record_changes(changes: dict[tuple[str, str], list[tuple[SetFile, int]]], patch: SetFile) -> None:
    for file in parse.find_touched(patch.file.read_bytes()):
        for name in file.strip_names(1):
            changes.setdefault((package_of(patch), name), []).append((patch, file.line))


def package_of(patch: SetFile) -> str:
    """Return ``CAT/PN`` of a patch, without the version and slot of its directory. Source: PMS, "Package names"."""
    name = patch.package.partition(":")[0]
    return f"{patch.category}/{re.sub(r'-[0-9][0-9.]*[a-z]?(_[a-z]+[0-9]*)*(-r[0-9]+)?$', '', name)}"
