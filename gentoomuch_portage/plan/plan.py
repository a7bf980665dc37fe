"""The plan: everything a run needs to know, as data that can be printed, kept and sent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from gentoomuch_portage.errors import PartsConflict
from gentoomuch_portage.plan.request import UnreadablePlan

if TYPE_CHECKING:
    from gentoomuch_portage.config.profile import Profile
    from gentoomuch_portage.plan.request import Request


class Layer(NamedTuple):
    """A folder laid out like /etc/portage, in its turn."""

    name: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.name} ({self.folder})"


class Patches(NamedTuple):
    """A patch set, in its turn: ``CAT/PN[-PV[-rN]][:SLOT]/*.patch``."""

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
    """``FILE:LINE`` that says so."""

    def __str__(self) -> str:
        return self.name


class Word(NamedTuple):
    """A word put before the user's."""

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
    """What emerge may unmask without asking: ``*``, nothing, or atoms, by kind."""

    kind: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.allowed or 'nothing'}"


class Locked(NamedTuple):
    """A run that would need anything new unmasked fails."""

    by: str

    def __str__(self) -> str:
        return f"nothing new is unmasked ({self.by})"


class Show(NamedTuple):
    """Something that ``--gm-explain`` tells, without effect."""

    text: str

    def __str__(self) -> str:
        return self.text


class Instead(NamedTuple):
    """What emerge gets in the place of a word of the user's; nothing where it is empty."""

    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.text or 'nothing'} instead of {self.word}"


class Tree(NamedTuple):
    """A copy of a work tree that a package is built from, and what the package records of it."""

    cpv: str
    folder: Path
    told: str
    contained: str = ""
    """``yes`` where it is built in a container unless somebody said otherwise."""

    def __str__(self) -> str:
        return f"{self.cpv} from {self.folder}"


class Mounted(NamedTuple):
    """What stands in the container that the plan is carried out in."""

    kind: str
    """bind, overlay, tmpfs, dev, proc, squashfs or link."""
    target: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind} {self.text}"


Part = Layer | Patches | File | Line | MakeProfile | Word | Env | Unmask | Locked | Instead | Tree | Mounted | Show
KINDS: Mapping[str, type[Any]] = {
    "layer": Layer, "patches": Patches, "file": File, "line": Line, "make_profile": MakeProfile, "word": Word,
    "env": Env, "unmask": Unmask, "locked": Locked, "instead": Instead, "tree": Tree, "mounted": Mounted,
    "show": Show,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of emerge for one profile."""

    profile: str
    base: str
    """``host`` or ``none``: what lies below the layers."""
    root: str
    """ROOT; ``/`` for this machine."""
    configroot: str = ""
    """The composed configroot, as PORTAGE_CONFIGROOT means it; empty before it is composed."""
    build_configroot: str = ""
    """What governs packages installed in ``/`` for building, where the root is another; otherwise empty."""
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    isolation: str = "none"
    without: str = ""
    """Plugins that take no part, parted by commas."""
    cpu: str = ""
    """Machine flags that stand for the CPU of the profile: ``-march=znver3``."""
    build_cpu: str = ""
    """The same for what is installed in ``/`` for building, where the root is another."""
    abi: str = ""
    """CHOST, ELIBC and ACCEPT_CHOSTS of the profile, as ``isa.requirement.Abi`` writes them; empty before."""
    build_abi: str = ""
    """The same for what is installed in ``/`` for building, where the root is another."""
    unknown: str = "reject"
    """``reject`` or ``accept`` a binary package that does not tell its flags."""
    audit: str = "no"
    """``yes`` where the machine code of binary packages is looked into before they are used."""
    processes: str = "0"
    """How many processes a user may have in a container; 0 for no limit."""
    disk: str = ""
    """How much may be written in a container: ``20G``; empty for as much as there is room."""
    kernel: str = ""
    """The file of the Linux that a virtual machine boots; empty for one of the host's."""
    parts: tuple[tuple[str, Part], ...] = ()
    """Each part with the name of the plugin that gave it."""

    def to_json(self) -> str:
        """The plan as ``--gm-explain=json`` prints it; equal plans give equal text."""
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        shown["parts"] = [
            {
                "plugin": plugin,
                "kind": _kind(part),
                "text": str(part),
                "data": {key: str(value) for key, value in part._asdict().items()},
            }
            for plugin, part in self.parts
        ]
        return json.dumps(shown, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, path: Path, opened: int | None = None) -> Self:
        """Read a printed plan.

        Args:
            opened: a descriptor to read it from; the path is then no more than its name.

        Raises:
            UnreadablePlan: it is none.
        """
        try:
            with open(path if opened is None else opened, encoding="utf-8", closefd=opened is None) as file:
                found = json.load(file)
            parts = tuple((_text(one["plugin"]), _part(one["kind"], one["data"])) for one in found["parts"])
            words = tuple(_text(word) for word in _list(found["words"]))
            env = {name: _text(value) for name, value in found["env"].items()}
            rest = {one.name: _text(found[one.name]) for one in fields(cls) if one.type is str}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadablePlan(path, error) from error
        return cls(words=words, env=env, parts=parts, **rest)


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError(f"{found!r} is no text")
    return found


def _list(found: object) -> list[object]:
    if not isinstance(found, list):
        raise TypeError(f"{found!r} is no list")
    return found


def _part(kind: str, data: Mapping[str, object]) -> Part:
    texts: dict[str, Any] = {key: _text(value) for key, value in data.items()}
    if KINDS[kind] in {Layer, Patches, Tree}:
        texts["folder"] = Path(texts["folder"])
    part: Part = KINDS[kind](**texts)
    return part


def make_plan(request: "Request", profile: "Profile", parts: Iterable[tuple[str, Part]]) -> Plan:
    """Add the parts up.

    Layers keep the order of their one giver; everything else is independent of order.

    Raises:
        PartsConflict: two plugins set one variable to different values.
    """
    parts = tuple(parts)
    words: list[str] = []
    env: dict[str, str] = {}
    givers: dict[str, str] = {}
    instead: dict[str, str] = {}
    for plugin, part in parts:
        match part:
            case Word(text):
                words.append(text)
            case Instead(word, text):
                instead[word] = text
            case Env(name, value):
                if env.setdefault(name, value) != value:
                    raise PartsConflict(name, givers[name], plugin)
                givers.setdefault(name, plugin)
    return Plan(
        profile=profile.name,
        base=profile.base,
        root=str(profile.root),
        words=(*words, *(instead.get(word, word) for word in request.words if instead.get(word) != "")),
        env=dict(sorted(env.items())),
        isolation=request.said.get("isolation") or _isolation(profile, parts),
        unknown=profile.binpkg["unknown"],
        audit="yes" if profile.binpkg["audit"] else "no",
        processes=str(profile.container["processes"]),
        disk=profile.container["disk"],
        kernel=profile.container["kernel"],
        parts=parts,
    )


def _isolation(profile: "Profile", parts: Iterable[tuple[str, Part]]) -> str:
    contained = any(isinstance(part, Tree) and part.contained for _, part in parts)
    return "auto" if contained and profile.isolation == "none" else profile.isolation


def _kind(part: Part) -> str:
    return next(name for name, kind in KINDS.items() if kind is type(part))
