"""Contradictions in profiles: what is said twice, or one way here and another way there.

A later layer wins, so none of this stops a run; but whoever wrote the earlier line does not get what it says.
The host's own etc/portage lies below all layers in order to be changed by them: it is not held against them.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from gentoomuch_portage.config import portage_names, schema
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.layers import OTHER_TOOLS
from gentoomuch_portage.configroot.statements import (
    Assigned,
    Line,
    Place,
    Token,
    assignments,
    lines,
    of_line,
    of_variable,
)
from gentoomuch_portage.emerge.profile_view import View, looked_at
from gentoomuch_portage.errors import BadFile, GmError, nearest
from gentoomuch_portage.patches import check, patch_set
from gentoomuch_portage.portage_adapter import config

_SWITCHES = frozenset({"package.use", "package.accept_keywords", "package.license"})
_FLAGS = frozenset({"COMMON_FLAGS", "CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"})
_T = TypeVar("_T")
_REPEATABLE = frozenset({"package.use", "package.accept_keywords"})


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction, with every place that takes part, the winner last."""

    profile: str
    kind: str
    """``flag``, ``variable``, ``hidden``, ``repeat``, ``layer-twice``, ``pkgdir``, ``missing-env``, ``same-file``,
    ``same-root``, ``unread``, ``cpu``, or the code of the error that keeps the profile from being read."""
    text: str
    places: tuple[Place, ...]


def examine(settings: Settings, names: Iterable[str]) -> list[Finding]:
    """All findings of some profiles; one that cannot be composed is a finding and hides no other."""
    found: list[Finding] = []
    for name in names:
        try:
            with looked_at(settings, name) as view:
                found += contradictions(view)
            found += (one for one in shared_root(settings, name) if not _known(one, found))
        except GmError as error:
            places = (Place(Path(error.path), error.line),) if isinstance(error, BadFile) and error.line else ()
            found.append(Finding(name, error.code, error.message, places))
    return found


def _known(one: Finding, found: Iterable[Finding]) -> bool:
    """Whether a root that two share was found from the other side."""
    return any(one.kind == other.kind and set(one.places) == set(other.places) for other in found)


def contradictions(view: View) -> list[Finding]:
    """What the layers of one profile say against each other."""
    said = list(assignments(view.composed, view.layers))
    spoken = list(lines(view.composed, view.layers))
    values = config.load(Path(view.plan.configroot)).values
    adding = config.incrementals() | set(values["USE_EXPAND"].split())
    tokens = [token for one in said if one.name in adding for token in of_variable(one)]
    tokens += [token for one in spoken if one.kind in _SWITCHES for token in of_line(one)]
    name = view.profile.name
    return [
        *(Finding(name, "flag", *told) for told in _switched(tokens)),
        *(Finding(name, "variable", *told) for told in _set_anew(one for one in said if one.name not in adding)),
        *(Finding(name, "repeat", *told) for told in _repeated(one for one in spoken if one.kind in _REPEATABLE)),
        *(Finding(name, "hidden", *told) for told in _hidden(view)),
        *(Finding(name, "layer-twice", *told) for told in _named_twice(view)),
        *(Finding(name, "pkgdir", *told) for told in _own_pkgdir(said)),
        *(Finding(name, "missing-env", *told) for told in _missing_env(view, spoken)),
        *(Finding(name, "same-file", *told) for told in _patched_twice(view)),
        *(Finding(name, "unread", *told) for told in _unread(view)),
        *(Finding(name, "cpu", *told) for told in _other_cpu(view, said)),
    ]


_Told = Iterator[tuple[str, tuple[Place, ...]]]


def _switched(tokens: Iterable[Token]) -> _Told:
    for before, now in _neighbours(tokens, lambda one: (one.subject, one.name)):
        if before.on != now.on:
            first, then = ("on", "off") if before.on else ("off", "on")
            yield (
                f"{now.subject}: {now.name} is {first} in layer {before.layer!r} and {then} in {now.layer!r}",
                (before.place, now.place),
            )


def _set_anew(said: Iterable[Assigned]) -> _Told:
    for before, now in _neighbours(said, lambda one: one.name):
        if before.raw.strip("\"'") != now.raw.strip("\"'") and not now.refers_to_itself and now.name != "PKGDIR":
            yield (
                f"{now.name} is {before.value!r} in layer {before.layer!r} and {now.value!r} in {now.layer!r}",
                (before.place, now.place),
            )


def _repeated(spoken: Iterable[Line]) -> _Told:
    for before, now in _neighbours(spoken, lambda one: (one.kind, one.atom, one.words)):
        yield f"{now.kind} says {' '.join((now.atom, *now.words))!r} twice", (before.place, now.place)


def _hidden(view: View) -> _Told:
    folders = {one.folder: one.name for one in view.layers}
    for before, now in view.composed.hidden:
        if owner := next((name for folder, name in folders.items() if before.is_relative_to(folder)), ""):
            yield f"a file of layer {owner!r} is hidden by that of a later one", (Place(before, 1), Place(now, 1))


def _named_twice(view: View) -> _Told:
    names = view.profile.layers
    for name in sorted({one for one in names if names.count(one) > 1}):
        yield f"layer {name!r} is named {names.count(name)} times", (_line(view.profile.file, "layers", name),)


def _own_pkgdir(said: Iterable[Assigned]) -> _Told:
    for one in said:
        if one.name == "PKGDIR":
            yield f"layer {one.layer!r} sets PKGDIR, which is one for all profiles", (one.place,)


def _missing_env(view: View, spoken: Iterable[Line]) -> _Told:
    for one in spoken:
        for name in one.words if one.kind == "package.env" else ():
            if f"env/{name}" not in view.composed.files:
                yield f"package.env names env/{name}, which no layer has", (one.place,)


def _patched_twice(view: View) -> _Told:
    for one in check.found(patch_set.of_plan(view.plan)):
        yield (
            f"patch sets {' and '.join(map(repr, one.sets))} both touch {one.name} of {one.package}",
            tuple(Place(path, line) for path, line in one.places),
        )


def _unread(view: View) -> _Told:
    """Names that Portage does not read, as a mistyped one; not what a bashrc or make.conf reads, nor a README."""
    for layer in view.layers:
        told = "\n".join(_scripts(layer.folder))
        for path in sorted((*layer.folder.glob("[!.]*"), *layer.folder.glob("profile/[!.]*"))):
            name = str(path.relative_to(layer.folder))
            plain = path.name.endswith("~") or path.name in OTHER_TOOLS or path.name.partition(".")[0].isupper()
            if not (plain or portage_names.known(name) or path.name in told):
                near = nearest(name, portage_names.every(name))
                hint = f"; {near!r} ?" if near else ""
                yield (
                    f"Portage reads nothing of the name {name!r}, which layer {layer.name!r} has{hint}",
                    (Place(path, 1),),
                )


def _scripts(folder: Path) -> Iterator[str]:
    """The texts of a layer that may read others."""
    for name in ("make.conf", "bashrc", "profile/profile.bashrc", "profile/make.defaults"):
        for file in config.file_list(folder / name):
            yield file.read_text(encoding="utf-8", errors="replace")


def _other_cpu(view: View, said: Iterable[Assigned]) -> _Told:
    """A layer's -march beside the profile's cpu, which comes behind it on a compiler's command line."""
    cpu, at = view.profile.cpu, view.profile.where("cpu").rpartition(":")
    for one in said if cpu else ():
        found = re.search(r"-m(?:arch|cpu)=([^\s\"']+)", one.raw) if one.name in _FLAGS else None
        if found and found[1] != cpu:
            line = one.place.line + one.raw.count("\n", 0, found.start())
            places = (Place(one.place.file, line), Place(Path(at[0]), int(at[2])))
            yield f"{one.name} has {found[0]} in layer {one.layer!r}, and the profile has cpu = {cpu!r}", places


def shared_root(settings: Settings, name: str) -> list[Finding]:
    """Other profiles whose root is the foreign root of this one.

    Raises:
        GmError: this profile cannot be read. Others that cannot are passed over: they have findings of their own.
    """
    mine = config_profile.read(settings, name)
    found = []
    for other in config_profile.names(settings) if mine.foreign else ():
        try:
            theirs = config_profile.read(settings, other)
        except GmError:
            continue
        if other != name and theirs.root == mine.root:
            places = (_line(mine.file, "root"), _line(theirs.file, "root"))
            found.append(Finding(name, "same-root", f"profile {other!r} has the same root {str(mine.root)!r}", places))
    return found


def _line(file: Path, key: str, value: str = "") -> Place:
    return Place(file, schema.line_of(file.read_text(encoding="utf-8"), (), key, value))


def _neighbours(said: Iterable[_T], key: Callable[[_T], Hashable]) -> Iterator[tuple[_T, _T]]:
    """Each two statements that follow one another among those with one key."""
    grouped: dict[Hashable, list[_T]] = {}
    for one in said:
        grouped.setdefault(key(one), []).append(one)
    for group in grouped.values():
        yield from pairwise(group)
