# SPDX-License-Identifier: GPL-2.0-or-later
"""Patch sets on disk: ``patches/SET/CAT/PN[-PV[-rN]][:SLOT]/*.patch``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config import profile
from gentoomuch_portage.config.portage_names import PATCH_SUFFIXES
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.plan.plan import Patches, Plan


@dataclass(frozen=True, slots=True, order=True)
class SetFile:
    """A file of a patch set."""

    set: str
    category: str
    """Empty if Portage never reads a file in this place."""
    package: str
    """The directory: ``hello``, ``hello-2.10``, ``hello-2.10-r1``, each optionally with ``:SLOT``."""
    file: Path


def names(settings: Settings) -> tuple[str, ...]:
    """Return the names of all patch sets, sorted."""
    top = settings.config / "patches"
    return (
        tuple(sorted(path.name for path in top.iterdir() if path.is_dir() and path.name[0] != "."))
        if top.is_dir()
        else ()
    )


def folder(settings: Settings, name: str) -> Path:
    """Return the directory of a set, which may not exist.

    Raises:
        ConfigError[bad-name]: the name would leave ``patches/``.
    """
    return settings.config / "patches" / profile.valid(name, "patch set")


def list_files(name: str, place: Path) -> Iterator[SetFile]:
    """Generate the files of a set, sorted, without hidden files and backups of editors."""
    for path in sorted(place.rglob("*")):
        inside = path.relative_to(place)
        if path.is_dir() or any(part.startswith(".") or part.endswith("~") for part in inside.parts):
            continue
        match inside.parts:
            case (category, package, file) if file.endswith(PATCH_SUFFIXES):
                yield SetFile(name, category, package, path)
            case _:
                yield SetFile(name, "", "", path)


def list_sets(plan: Plan) -> list[Patches]:
    """Return the sets of a plan, in order."""
    return [part for _, part in plan.parts if isinstance(part, Patches)]


def find_users(settings: Settings) -> dict[str, list[str]]:
    """Return set -> the profiles that use it, without invalid profiles, which lint reports."""
    users: dict[str, list[str]] = {}
    for name in profile.names(settings):
        try:
            sets = profile.read(settings, name).patches
        except GmError:
            continue
        for patch_set in dict.fromkeys(sets):
            users.setdefault(patch_set, []).append(name)
    return users
