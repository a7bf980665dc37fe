"""What is wrong with the patch sets of a profile, found without building.

Two patch sets that touch the same file of the same package: the second one may not apply any more.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.configroot.layers import patch_name
from gentoomuch_portage.errors import nearest
from gentoomuch_portage.patches import dry_run, lint, parse, patch_set
from gentoomuch_portage.patches.digest import Package, applied
from gentoomuch_portage.patches.lint import Remark
from gentoomuch_portage.patches.patch_set import Saved, saved
from gentoomuch_portage.plan.plan import Patches
from gentoomuch_portage.portage_adapter import ebuilds as portage_ebuilds
from gentoomuch_portage.portage_adapter.ebuilds import Ebuild, Ebuilds


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong."""

    file: Path
    """The patch; the profile where an installed package is meant."""
    line: int
    """From 1; 0 where the whole file is meant."""
    kind: str
    """``link``, ``place``, ``empty``, ``binary``, ``outside``, ``no-patch``, ``name``, ``version``, ``slot``, ``fuzz``,
    ``upstream``, ``level``, ``conflict``, ``endings``, ``stale``, ``unprepared`` or ``changed``."""
    text: str
    package: str = ""
    """The version that it was tried with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What sets are held against."""

    ebuilds: Ebuilds
    env: Mapping[str, str]
    """PORTAGE_CONFIGROOT and ROOT of the profile."""
    beside: Path
    """The etc/portage/patches of the profile without its sets: what the host and the layers have."""
    config: Path
    cache: Path


def examined(sets: Iterable[Patches], world: World) -> Iterator[Finding]:
    """All findings of some sets that one profile has, in order."""
    sets = tuple(sets)
    files = [one for part in sets for one in saved(part.name, part.folder)]
    meant: dict[Saved, list[Ebuild]] = {}
    for one in files:
        remarks = list(lint.remarks(one, world.config))
        yield from (_finding(one, remark) for remark in remarks)
        if one.category:
            found, remark = _meant(one, world.ebuilds)
            if remark is not None:
                yield _finding(one, remark)
            if found and one.file.is_file() and not one.file.stat().st_size:
                yield from _negating(one, found, files)
            if not any(remark.stops for remark in remarks):
                meant[one] = found
    yield from _fitting(sets, meant, world)


def _finding(one: Saved, remark: Remark, package: str = "") -> Finding:
    return Finding(one.file, remark.line, remark.kind, remark.text, package)


def package(ebuild: Ebuild) -> Package:
    """An ebuild as folders of patches name it."""
    return Package(
        category=ebuild.category,
        name=ebuild.name,
        version=ebuild.version,
        revision=ebuild.revision,
        slot=ebuild.slot,
    )


def _meant(one: Saved, ebuilds: Ebuilds) -> tuple[list[Ebuild], Remark | None]:
    """The versions that a patch is for, or what is wrong with its folder."""
    name, _, slot = one.package.partition(":")
    known = ebuilds.packages(one.category)
    every = [
        ebuild
        for pn in known
        if name == pn or name.startswith(f"{pn}-")
        for ebuild in ebuilds.of(f"{one.category}/{pn}")
    ]
    found = [ebuild for ebuild in every if one.package in package(ebuild).folders]
    if found:
        return found, None
    if others := [ebuild for ebuild in every if name in package(ebuild).folders]:
        slots = ", ".join(sorted({ebuild.slot for ebuild in others}))
        return [], Remark("slot", f"no version of {one.category}/{name} has slot {slot} (there are: {slots})")
    if every:
        versions = ", ".join(ebuild.pf for ebuild in every)
        return [], Remark("version", f"matches no version of any ebuild (there are: {versions})")
    near = nearest(name, known) or (nearest(one.category, ebuilds.categories()) if not known else "")
    hint = f"; {near} ?" if near else ""
    return [], Remark("name", f"no repository has a package {one.category}/{name}{hint}")


def _negating(one: Saved, meant: Iterable[Ebuild], files: Iterable[Saved]) -> Iterator[Finding]:
    """An empty file that negates nothing. One that negates a patch of a less telling folder is as it should be."""
    for ebuild in meant:
        folders = package(ebuild).folders
        less = {(one.set, one.category, folder, one.file.name) for folder in folders[: folders.index(one.package)]}
        if any((other.set, other.category, other.package, other.file.name) in less for other in files):
            return
    text = "is empty, by which Portage means: do not apply a patch of this name; there is none"
    yield Finding(one.file, 0, "empty", text)


def _fitting(sets: tuple[Patches, ...], meant: Mapping[Saved, list[Ebuild]], world: World) -> Iterator[Finding]:
    """Try the patches of each version that could be chosen, with all others that it gets."""
    wanted = {ebuild.cpv: ebuild for found in meant.values() for ebuild in chosen(found)}
    with tempfile.TemporaryDirectory(prefix="gm-patches-") as folder:
        laid = Path(folder)
        owners = _laid(sets, meant, world.beside, laid)
        for cpv, ebuild in sorted(wanted.items()):
            patches = applied(laid, package(ebuild))
            try:
                prepared = portage_ebuilds.prepared(ebuild, world.env, world.cache)
            except portage_ebuilds.Unprepared as error:
                first = next(one for one, found in meant.items() if ebuild in found)
                yield Finding(first.file, 0, "unprepared", error.message, cpv)
                continue
            for outcome in dry_run.outcomes(patches, prepared.tree):
                if outcome.kind and (owner := owners.get(patches[outcome.name])):
                    yield Finding(owner.file, outcome.line, outcome.kind, outcome.text, cpv)


def _laid(
    sets: tuple[Patches, ...], meant: Mapping[Saved, list[Ebuild]], beside: Path, into: Path
) -> dict[Path, Saved]:
    """Lay patches as a configroot has them; where each came from."""
    owners: dict[Path, Saved] = {}
    turns = {part.name: number for number, part in enumerate(sets)}
    for other in beside.glob("*/*/*"):
        target = into / other.relative_to(beside)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(other)
    for one in meant:
        name = patch_name(turns[one.set], len(sets), one.set, one.file.name)
        target = into / one.category / one.package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(one.file)
        owners[target] = one
    return owners


def chosen(found: Iterable[Ebuild]) -> list[Ebuild]:
    """The versions that the profile could choose: all that nothing masks; without any, the best of each slot."""
    found = tuple(found)
    best = {ebuild.slot: ebuild for ebuild in found}
    return [ebuild for ebuild in found if ebuild.visible] or list(best.values())


@dataclass(frozen=True, slots=True)
class Overlap:
    """A file that patches of two sets touch."""

    package: str
    """``CAT/PN``."""
    name: str
    """Of the file, within the sources."""
    places: tuple[tuple[Path, int], ...]
    """File and line of each, in the order of the sets."""
    sets: tuple[str, ...]

    @property
    def text(self) -> str:
        """In one line, with every place."""
        where = " and ".join(f"{path}:{line}" for path, line in self.places)
        return f"patch sets {' and '.join(map(repr, self.sets))} both touch {self.name} of {self.package}: {where}"


def found(parts: Iterable[Patches]) -> Iterator[Overlap]:
    """The overlaps of some sets, in order."""
    parts = tuple(parts)
    if len(parts) < 2:
        return
    seen: dict[tuple[str, str], list[tuple[Saved, int]]] = {}
    for part in parts:
        for one in patch_set.saved(part.name, part.folder):
            if one.category and one.file.is_file():
                _note(seen, one)
    for (package, name), touching in seen.items():
        if len({one.set for one, _ in touching}) > 1:
            first = {one.set: (one.file, line) for one, line in reversed(touching)}
            order = tuple(part.name for part in parts if part.name in first)
            yield Overlap(package, name, tuple(first[one] for one in order), order)


def _note(seen: dict[tuple[str, str], list[tuple[Saved, int]]], one: Saved) -> None:
    for file in parse.touched(one.file.read_bytes()):
        for name in file.stripped(1):
            seen.setdefault((package_of(one), name), []).append((one, file.line))


def package_of(one: Saved) -> str:
    """``CAT/PN`` of a patch, whatever version and slot its folder names. Source: PMS, "Package names"."""
    import re

    name = one.package.partition(":")[0]
    return f"{one.category}/{re.sub(r'-[0-9][0-9.]*[a-z]?(_[a-z]+[0-9]*)*(-r[0-9]+)?$', '', name)}"
