# SPDX-License-Identifier: GPL-2.0-or-later
"""Contradictions and repetitions in the layers of a profile.

Later layers win, so findings do not stop a run; but the earlier line has no effect. The host's own etc/portage is
not checked: layers are meant to override it.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gentoomuch_portage.binpkg_filter import built
from gentoomuch_portage.config import portage_names, schema
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.portage_names import VCS_DIRS
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.layers import Source, compose
from gentoomuch_portage.configroot.statements import (
    Assigned,
    Line,
    Place,
    Token,
    assignments,
    lines,
    split_line,
    split_variable,
)
from gentoomuch_portage.emerge import own_cpu
from gentoomuch_portage.emerge.profile_view import View, load_view
from gentoomuch_portage.errors import BadFile, GmError, nearest
from gentoomuch_portage.patches import check, patch_set
from gentoomuch_portage.portage_adapter import config, config_files
from gentoomuch_portage.reports import moves
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter import world
else:
    world = LazyModule("gentoomuch_portage.portage_adapter.world")  # loads the dependency resolver

_SWITCHES = frozenset({"package.use", "package.accept_keywords", "package.license"})
_FLAGS = frozenset({"COMMON_FLAGS", "CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"})
_T = TypeVar("_T")
_REPEATABLE = frozenset({"package.use", "package.accept_keywords"})


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction with its places, the effective one last."""

    profile: str
    kind: str
    """``flag``, ``variable``, ``hidden``, ``repeat``, ``layer-twice``, ``pkgdir``, ``missing-env``, ``same-file``,
    ``same-root``, ``unread``, ``cpu``, ``show``, ``moved``, ``unknown-package``, ``unknown-set``, or the code of
    the error if the profile is invalid."""
    text: str
    places: tuple[Place, ...]


def lint_profiles(settings: Settings, names: Iterable[str]) -> list[Finding]:
    """Return the findings of profiles; an invalid profile is a finding, too."""
    findings: list[Finding] = []
    for name in names:
        try:
            with load_view(settings, name) as view:
                findings += find_contradictions(view)
                findings += _find_foreign_cpu(view, settings)
                findings += _find_newer_cpu(view, settings)
                findings += find_moves(view, settings)
            findings += (finding for finding in find_shared_root(settings, name) if not _is_known(finding, findings))
        except GmError as error:
            findings += (
                Finding(name, each.code, each.message, _find_place(each))
                for each in (error, *(error.others if isinstance(error, BadFile) else ()))
            )
    return findings


def _find_place(error: GmError) -> tuple[Place, ...]:
    """Return the line that an error names, if any."""
    return (Place(Path(error.path), error.line),) if isinstance(error, BadFile) and error.line else ()


def _is_known(finding: Finding, findings: Iterable[Finding]) -> bool:
    """Return whether a shared root was reported for the other profile already."""
    return any(finding.kind == other.kind and set(finding.places) == set(other.places) for other in findings)


def find_contradictions(view: View) -> list[Finding]:
    """Return contradictions between the layers of a profile."""
    variables = list(assignments(view.composed, view.layers))
    spoken = list(lines(view.composed, view.layers))
    values = config.load(Path(view.plan.configroot)).values
    adding = config_files.incrementals() | set(values["USE_EXPAND"].split())
    tokens = [token for variable in variables if variable.name in adding for token in split_variable(variable)]
    tokens += [token for line in spoken if line.kind in _SWITCHES for token in split_line(line)]
    name = view.profile.name
    return [
        *(Finding(name, "flag", *details) for details in _find_switched(tokens)),
        *(
            Finding(name, "variable", *details)
            for details in _find_reassigned(variable for variable in variables if variable.name not in adding)
        ),
        *(
            Finding(name, "repeat", *details)
            for details in _find_repeated(line for line in spoken if line.kind in _REPEATABLE)
        ),
        *(Finding(name, "hidden", *details) for details in _find_hidden(view)),
        *(Finding(name, "layer-twice", *details) for details in _find_duplicate_layers(view)),
        *(Finding(name, "pkgdir", *details) for details in _find_pkgdir(variables)),
        *(Finding(name, "missing-env", *details) for details in _find_missing_env(view, spoken)),
        *(Finding(name, "same-file", *details) for details in _find_duplicate_patches(view)),
        *(Finding(name, "unread", *details) for details in _find_unread(view)),
        *(Finding(name, "cpu", *details) for details in _find_other_cpu(view, variables)),
        *(Finding(name, "show", *details) for details in _find_missing_paths(view)),
        *_find_unknown_packages(view),
    ]


def find_moves(view: View, settings: Settings) -> Iterator[Finding]:
    """Return the places that name packages by their old names."""
    command = f"gentoomuch profile update {view.profile.name}"
    for move in moves.find_moved(view, settings):
        yield Finding(view.profile.name, "moved", f"{move.text}: {command}", (move.place,))


_Details = Iterator[tuple[str, tuple[Place, ...]]]


def _find_switched(tokens: Iterable[Token]) -> _Details:
    for before, now in _adjacent_layers(tokens, lambda token: (token.subject, token.name)):
        if before.on != now.on:
            first, then = ("on", "off") if before.on else ("off", "on")
            yield (
                f"{now.subject}: {now.name} is {first} in layer {before.layer!r} and {then} in {now.layer!r}",
                (before.place, now.place),
            )


def _find_reassigned(variables: Iterable[Assigned]) -> _Details:
    for before, now in _adjacent_layers(variables, lambda variable: variable.name):
        if before.raw.strip("\"'") != now.raw.strip("\"'") and not now.refers_to_itself and now.name != "PKGDIR":
            yield (
                f"{now.name} is {before.value!r} in layer {before.layer!r} and {now.value!r} in {now.layer!r}",
                (before.place, now.place),
            )


def _find_repeated(spoken: Iterable[Line]) -> _Details:
    for before, now in _adjacent_layers(spoken, lambda line: (line.kind, line.atom, line.values)):
        yield f"{now.kind} has {' '.join((now.atom, *now.values))!r} twice", (before.place, now.place)


def _find_hidden(view: View) -> _Details:
    folders = {layer.folder: layer.name for layer in view.layers}
    for before, now in view.composed.hidden:
        if owner := next((name for folder, name in folders.items() if before.is_relative_to(folder)), ""):
            yield f"a file of layer {owner!r} is replaced by one of a later layer", (Place(before, 1), Place(now, 1))


def _find_duplicate_layers(view: View) -> _Details:
    names = view.profile.layers
    for name in sorted({layer for layer in names if names.count(layer) > 1}):
        yield f"layer {name!r} is listed {names.count(name)} times", (_find_line(view.profile.file, "layers", name),)


def _find_pkgdir(variables: Iterable[Assigned]) -> _Details:
    for variable in variables:
        if variable.name == "PKGDIR":
            yield f"layer {variable.layer!r} sets PKGDIR, but all profiles share one", (variable.place,)


def _find_missing_env(view: View, spoken: Iterable[Line]) -> _Details:
    for line in spoken:
        for name in line.values if line.kind == "package.env" else ():
            if f"env/{name}" not in view.composed.files:
                yield f"package.env names env/{name}, which does not exist in any layer", (line.place,)


def _find_duplicate_patches(view: View) -> _Details:
    for finding in check.find_overlaps(patch_set.list_sets(view.plan)):
        yield (
            f"patch sets {' and '.join(map(repr, finding.sets))} both change {finding.name} of {finding.package}",
            tuple(Place(path, line) for path, line in finding.places),
        )


def _find_unread(view: View) -> _Details:
    """Find files that Portage does not read, such as mistyped names; READMEs and sourced files are ignored."""
    for layer in view.layers:
        text = "\n".join(_read_scripts(layer.folder))
        for path in sorted((*layer.folder.glob("[!.]*"), *layer.folder.glob("profile/[!.]*"))):
            name = str(path.relative_to(layer.folder))
            plain = path.name.endswith("~") or path.name in VCS_DIRS or path.name.partition(".")[0].isupper()
            if not (plain or portage_names.known(name) or path.name in text):
                near = portage_names.MACHINE if name == "packages" else nearest(name, portage_names.siblings(name))
                hint = f"; {near!r} ?" if near else ""
                yield (
                    f"Portage does not read {name!r} in layer {layer.name!r}{hint}",
                    (Place(path, 1),),
                )


def _read_scripts(folder: Path) -> Iterator[str]:
    """Read the files of a layer that may source others."""
    for name in ("make.conf", "bashrc", "profile/profile.bashrc", "profile/make.defaults"):
        for file in config_files.file_list(folder / name):
            yield file.read_text(encoding="utf-8", errors="replace")


def _find_other_cpu(view: View, variables: Iterable[Assigned]) -> _Details:
    """Find -march in layers that differs from the profile's cpu, which overrides it."""
    cpu, at = view.profile.cpu, view.profile.where("cpu").rpartition(":")
    for variable in variables if cpu else ():
        match = re.search(r"-m(?:arch|cpu)=([^\s\"']+)", variable.raw) if variable.name in _FLAGS else None
        if match and match[1] != cpu:
            line = variable.place.line + variable.raw.count("\n", 0, match.start())
            places = (Place(variable.place.file, line), Place(Path(at[0]), int(at[2])))
            yield (
                f"{variable.name} has {match[0]} in layer {variable.layer!r}, and the profile has cpu = {cpu!r}",
                places,
            )


def _find_foreign_cpu(view: View, settings: Settings) -> Iterator[Finding]:
    """Find reasons why the profile cannot be merged into this machine's own system."""
    if unnamed := own_cpu.find_unnamed(view.plan, settings):
        yield Finding(view.profile.name, unnamed.code, unnamed.message, ())
    if excess := own_cpu.find_excess(view.plan, settings):
        file, _, line = excess.place.rpartition(":")
        places = (Place(Path(file), int(line)),) if line.isdigit() else ()
        yield Finding(view.profile.name, excess.code, excess.message, places)


def _find_newer_cpu(view: View, settings: Settings) -> Iterator[Finding]:
    """Find lines for packages that use features which the profile's CPU lacks; such packages are not merged."""
    plan, name = view.plan, view.profile.name
    roots = [(plan.root, view.composed, "the CPU of the profile")]
    if plan.root != "/":
        beside = (Source("host", settings.host), *view.layers)
        building = compose(beside, plan.parts, building=True)
        roots.append(("/", building, "this build machine"))
    for root, composed, whose in roots:
        for line, lacking in built.find_lines(composed, root, plan, settings.cache):
            what = "is tuned for" if line.tune else "uses"
            text = f"{line.atom}: {line.text} {what} features that {whose} lacks: {', '.join(sorted(lacking))}"
            yield Finding(name, "cpu", text, tuple(filter(None, (line.via, line.place))))


def _find_unknown_packages(view: View) -> Iterator[Finding]:
    """Find packages and sets of @machine that do not exist."""
    if not view.composed.machine:
        return
    env = {"ROOT": view.plan.root, "PORTAGE_CONFIGROOT": view.plan.configroot}
    for unknown in world.find_unknown(env, view.composed.machine):
        file, line = view.composed.machine[unknown.entry]
        place = Place(file, line) if line else _parse_place(view.profile.where("packages", unknown.entry))
        kind, what = ("unknown-set", "set") if unknown.of_set else ("unknown-package", "no package matches")
        text = f"{what} {unknown.name!r}{' not found' if unknown.of_set else ''}"
        nested = f", in {unknown.entry}" if unknown.name != unknown.entry else ""
        yield Finding(view.profile.name, kind, f"@machine: {text}{nested}", (place,))


def _find_missing_paths(view: View) -> _Details:
    """Find paths in ``[container] show`` that do not exist."""
    for path in view.profile.container["show"]:
        if not Path(path).exists():
            place = _parse_place(view.profile.where("show", path, table="container"))
            yield f"[container] show names {path}, which does not exist", (place,)


def _parse_place(text: str) -> Place:
    """Parse ``FILE:LINE``."""
    file, _, line = text.rpartition(":")
    return Place(Path(file), int(line))


def find_shared_root(settings: Settings, name: str) -> list[Finding]:
    """Find other profiles with the same separate root.

    Raises:
        GmError: this profile is invalid. Other invalid profiles are skipped: they have findings of their own.
    """
    mine = config_profile.read(settings, name)
    findings = []
    for other in config_profile.names(settings) if mine.foreign else ():
        try:
            theirs = config_profile.read(settings, other)
        except GmError:
            continue
        if other != name and theirs.root == mine.root:
            places = (_find_line(mine.file, "root"), _find_line(theirs.file, "root"))
            findings.append(
                Finding(name, "same-root", f"profile {other!r} has the same root {str(mine.root)!r}", places)
            )
    return findings


def _find_line(file: Path, key: str, value: str = "") -> Place:
    return Place(file, schema.line_of(file.read_text(encoding="utf-8"), (), key, value))


def _adjacent_layers(items: Iterable[_T], key: Callable[[_T], Hashable]) -> Iterator[tuple[_T, _T]]:
    """Yield each two consecutive statements with the same key."""
    grouped: dict[Hashable, list[_T]] = {}
    for item in items:
        grouped.setdefault(key(item), []).append(item)
    for group in grouped.values():
        yield from pairwise(group)
