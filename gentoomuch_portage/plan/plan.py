# SPDX-License-Identifier: GPL-2.0-or-later
"""The plan: all data of a run, which can be printed, stored and sent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from gentoomuch_portage import stored
from gentoomuch_portage.errors import parts_conflict
from gentoomuch_portage.plan.request import unreadable_plan

if TYPE_CHECKING:
    from gentoomuch_portage.config.profile import Profile
    from gentoomuch_portage.plan.request import Request


class Layer(NamedTuple):
    """A directory like /etc/portage; layers apply in order."""

    name: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.name} ({self.folder})"


class Patches(NamedTuple):
    """A patch set, ``CAT/PN[-PV[-rN]][:SLOT]/*.patch``; sets apply in order."""

    name: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.name} ({self.folder})"


class File(NamedTuple):
    """A whole file below etc/portage, after all layers."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text.rstrip()}"


class Line(NamedTuple):
    """A line of a file below etc/portage, after all layers."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


class MakeProfile(NamedTuple):
    """The make_profile: ``default/linux/...`` or ``repo:path``."""

    name: str
    where: str
    """``FILE:LINE`` that sets it."""

    def __str__(self) -> str:
        return self.name


class EmergeOption(NamedTuple):
    """An argument of emerge, put before those of the user."""

    text: str

    def __str__(self) -> str:
        return self.text


class Env(NamedTuple):
    """A variable of emerge's environment."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Unmask(NamedTuple):
    """What emerge may unmask without asking, by kind: ``*``, nothing, or atoms."""

    kind: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.allowed or 'nothing'}"


class Locked(NamedTuple):
    """A run fails if it would unmask anything new."""

    by: str

    def __str__(self) -> str:
        return f"nothing new is unmasked ({self.by})"


class Note(NamedTuple):
    """A text that ``--gm-explain`` prints, without effect."""

    text: str

    def __str__(self) -> str:
        return self.text


class Replacement(NamedTuple):
    """A replacement for an argument of the user; removes it if empty."""

    argument: str
    text: str

    def __str__(self) -> str:
        return f"{self.text or 'nothing'} instead of {self.argument}"


class WorkTree(NamedTuple):
    """A copy of a work tree to build a package from, and the data that the package records about it."""

    cpv: str
    folder: Path
    description: str
    contained: str = ""
    """``yes`` to build it in a container by default."""

    def __str__(self) -> str:
        return f"{self.cpv} from {self.folder}"


class Mounted(NamedTuple):
    """A mount of the container that the plan runs in."""

    kind: str
    """bind, composed, overlay, tmpfs, dev, proc, squashfs or link."""
    target: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind} {self.text}"


Part = (
    Layer | Patches | File | Line | MakeProfile | EmergeOption | Env | Unmask | Locked | Replacement | WorkTree
    | Mounted | Note
)  # fmt: skip
KINDS: Mapping[str, type[Any]] = {
    "layer": Layer, "patches": Patches, "file": File, "line": Line, "make_profile": MakeProfile,
    "emerge_option": EmergeOption, "env": Env, "unmask": Unmask, "locked": Locked, "replacement": Replacement,
    "work_tree": WorkTree, "mounted": Mounted, "note": Note,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run of emerge for a profile."""

    profile: str
    base: str
    """``host`` or ``none``: the base of the layers."""
    root: str
    """ROOT; ``/`` for this machine."""
    configroot: str = ""
    """The value of PORTAGE_CONFIGROOT; empty before the configroot is written."""
    build_configroot: str = ""
    """The configroot of packages that are installed in ``/`` for building; empty if ROOT is ``/``."""
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    isolation: str = "none"
    without: str = ""
    """The plugins that the run does not use, separated by commas."""
    cpu: str = ""
    """Compiler flags for the CPU of the profile: ``-march=znver3``."""
    build_cpu: str = ""
    """The same for packages that are installed in ``/`` for building."""
    abi: str = ""
    """CHOST, ELIBC and ACCEPT_CHOSTS of the profile, as ``isa.abi.Abi`` writes them; empty before."""
    build_abi: str = ""
    """The same for packages that are installed in ``/`` for building."""
    default_options: str = ""
    """Options that emerge adds to its command line, quoted for a shell; empty before the configroot is written."""
    own: str = ""
    """``yes`` if merging to the root changes the system of this machine; empty if not, or before that is known."""
    unknown: str = "reject"
    """``reject`` or ``accept`` a binary package whose build flags are unknown."""
    audit: str = "no"
    """``yes`` to check the machine code of binary packages before they are used."""
    processes: str = "0"
    """Maximum number of processes of a user in a container; 0 for no limit."""
    disk: str = ""
    """Maximum size of what is written in a container: ``20G``; empty for no limit."""
    kernel: str = ""
    """The kernel file that a virtual machine boots; empty for one of the host."""
    show: str = ""
    """More paths of the host that a container sees: absolute, one a line."""
    parts: tuple[tuple[str, Part], ...] = ()
    """Each part with the name of its plugin."""

    @property
    def disabled_plugins(self) -> frozenset[str]:
        """The names of the plugins that the run does not use."""
        return frozenset(filter(None, self.without.split(",")))

    def to_json(self) -> str:
        """Return the plan as ``--gm-explain=json`` prints it; equal plans give equal text."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["parts"] = [
            {
                "plugin": plugin,
                "kind": _kind(part),
                "text": str(part),
                "data": {key: str(value) for key, value in part._asdict().items()},
            }
            for plugin, part in self.parts
        ]
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, path: Path, opened: int | None = None) -> Self:
        """Load a printed plan.

        Args:
            opened: a descriptor to read it from; then the path is only a name for messages.

        Raises:
            UsageError[unreadable-plan]: it is not a plan.
        """
        try:
            with open(path if opened is None else opened, encoding="utf-8", closefd=opened is None) as file:
                data = json.load(file)
            parts = tuple((_text(part["plugin"]), _part(part["kind"], part["data"])) for part in data["parts"])
            arguments = tuple(map(_text, _list(data["words" if "words" in data else "arguments"])))
            env = {name: _text(value) for name, value in data["env"].items()}
            data.setdefault("default_options", "")  # plans of version 0.1 have none
            rest = {field.name: _text(data[field.name]) for field in fields(cls) if field.type is str}
        except (OSError, *stored.DAMAGED) as error:
            raise unreadable_plan(path, error) from error
        return cls(arguments=arguments, env=env, parts=parts, **rest)


_OLD_KINDS = {"word": "emerge_option", "instead": "replacement", "tree": "work_tree", "show": "note"}
_OLD_FIELDS = {"word": "argument", "told": "description"}
"""Names that plans of version 0.1 use."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _part(kind: str, data: Mapping[str, object]) -> Part:
    kind = _OLD_KINDS.get(kind, kind)
    texts: dict[str, Any] = {_OLD_FIELDS.get(key, key): _text(value) for key, value in data.items()}
    if KINDS[kind] in {Layer, Patches, WorkTree}:
        texts["folder"] = Path(texts["folder"])
    part: Part = KINDS[kind](**texts)
    return part


def make_plan(request: "Request", profile: "Profile", parts: Iterable[tuple[str, Part]]) -> Plan:
    """Make a plan of parts.

    Layers keep their order; the order of other parts does not matter.

    Raises:
        RunError[parts-conflict]: two plugins set one variable to different values.
    """
    parts = tuple(parts)
    options: list[str] = []
    env: dict[str, str] = {}
    givers: dict[str, str] = {}
    replacements: dict[str, str] = {}
    for plugin, part in parts:
        match part:
            case EmergeOption(text):
                options.append(text)
            case Replacement(argument, text):
                replacements[argument] = text
            case Env(name, value):
                if env.setdefault(name, value) != value:
                    raise parts_conflict(name, givers[name], plugin)
                givers.setdefault(name, plugin)
    return Plan(
        profile=profile.name,
        base=profile.base,
        root=str(profile.root),
        arguments=(
            *options,
            *(replacements.get(word, word) for word in request.arguments if replacements.get(word) != ""),
        ),
        env=dict(sorted(env.items())),
        isolation=request.options.get("isolation") or _isolation(profile, parts),
        unknown=profile.binpkg["unknown"],
        audit="yes" if profile.binpkg["audit"] else "no",
        processes=str(profile.container["processes"]),
        disk=profile.container["disk"],
        kernel=profile.container["kernel"],
        show="\n".join(profile.container["show"]),
        parts=parts,
    )


def _isolation(profile: "Profile", parts: Iterable[tuple[str, Part]]) -> str:
    contained = any(isinstance(part, WorkTree) and part.contained for _, part in parts)
    return "auto" if contained and profile.isolation == "none" else profile.isolation


def _kind(part: Part) -> str:
    return next(name for name, kind in KINDS.items() if kind is type(part))
