"""Patch sets on disk: ``patches/SET/CAT/PN[-PV[-rN]][:SLOT]/*.patch``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.layers import PATCHES
from gentoomuch_portage.errors import GmError, UsageError, listed, nearest
from gentoomuch_portage.plan.plan import Patches, Plan


class UnknownSet(UsageError):
    """A patch set was named that has no folder under ``patches/``."""

    code = "unknown-patch-set"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = nearest(name, known)
        super().__init__(f"there is no patch set {name!r} {listed(known)}", remedy=near and f"{near} ?")
        self.name = name


@dataclass(frozen=True, slots=True, order=True)
class Saved:
    """A file of a patch set."""

    set: str
    category: str
    """Empty where the file lies where Portage would never look."""
    package: str
    """The folder: ``hello``, ``hello-2.10``, ``hello-2.10-r1``, each perhaps with ``:SLOT``."""
    file: Path


def names(settings: Settings) -> tuple[str, ...]:
    """The patch sets that there are, sorted."""
    top = settings.config / "patches"
    return (
        tuple(sorted(one.name for one in top.iterdir() if one.is_dir() and one.name[0] != ".")) if top.is_dir() else ()
    )


def folder(settings: Settings, name: str) -> Path:
    """The folder of a set, whether it is there or not.

    Raises:
        BadName: the name would leave ``patches/``.
    """
    return settings.config / "patches" / profile.valid(name, "patch set")


def saved(name: str, place: Path) -> Iterator[Saved]:
    """Every file of a set, sorted, but for what is hidden and what editors leave behind."""
    for path in sorted(place.rglob("*")):
        inside = path.relative_to(place)
        if path.is_dir() or any(part.startswith(".") or part.endswith("~") for part in inside.parts):
            continue
        match inside.parts:
            case (category, package, file) if file.endswith(PATCHES):
                yield Saved(name, category, package, path)
            case _:
                yield Saved(name, "", "", path)


def of_plan(plan: Plan) -> list[Patches]:
    """The sets of a plan, in order."""
    return [part for _, part in plan.parts if isinstance(part, Patches)]


def users(settings: Settings) -> dict[str, list[str]]:
    """Set -> the profiles that name it. A profile that cannot be read names none: lint tells what is wrong with it."""
    found: dict[str, list[str]] = {}
    for name in profile.names(settings):
        try:
            wanted = profile.read(settings, name).patches
        except GmError:
            continue
        for one in dict.fromkeys(wanted):
            found.setdefault(one, []).append(name)
    return found
