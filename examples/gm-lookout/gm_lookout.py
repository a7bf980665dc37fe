# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds packages, keeps room in the root, and tells Prometheus what was merged; an example of a plugin."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.api import (
    ConfigError,
    MachineError,
    Merge,
    Note,
    PackageResult,
    Part,
    Plan,
    Settings,
    hookimpl,
    write_file,
)


class Held(ConfigError):
    """A run would merge what is held."""

    code = "held"

    def __init__(self, names: list[str], file: Path) -> None:
        super().__init__(f"{', '.join(names)} must not be merged", hint=f"take it out of {file}")


class NoRoom(MachineError):
    """The root is nearly full."""

    code = "no-room"

    def __init__(self, root: str, left: int, wanted: int) -> None:
        super().__init__(f"{root} has {left} MiB left, and is to keep {wanted}", hint="make room")


@hookimpl
def gm_parts(settings: Settings) -> Iterator[Part]:
    """Tell ``--gm-explain`` what is held; nothing of the plan is changed."""
    if held := _held(settings):
        yield Note(f"held: {' '.join(sorted(held))}")


@hookimpl
def gm_after_resolve(merges: tuple[Merge, ...], settings: Settings) -> None:
    """End the run before anything is fetched."""
    held = _held(settings)
    if found := [one.cpv for one in merges if any(_is(one.cpv, name) for name in held)]:
        raise Held(found, settings.config / "hold")


@hookimpl
def gm_before_merge(merge: Merge) -> None:
    """Let one package fail; with --keep-going emerge goes on."""
    wanted = int(os.environ.get("GM_LOOKOUT_ROOM", "512"))
    left = shutil.disk_usage(merge.root).free >> 20
    if left < wanted:
        raise NoRoom(merge.root, left, wanted)


@hookimpl
def gm_after_package(merge: Merge, done: PackageResult, plan: Plan, settings: Settings) -> None:
    """Count; called once a package, in emerge's own process, so that there is no race within a run."""
    place = settings.state / plan.profile / "lookout.prom"
    before = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    labels = f'profile="{plan.profile}",package="{merge.cpv}",source="{merge.source}"'
    new = {f"gentoomuch_status{{{labels}}}": str(done.status), f"gentoomuch_seconds{{{labels}}}": f"{done.seconds:.1f}"}
    kept = [line for line in before if line.rpartition(" ")[0] not in new]
    write_file(place, "\n".join([*kept, *(f"{name} {value}" for name, value in new.items())]) + "\n")


def _held(settings: Settings) -> set[str]:
    file = settings.config / "hold"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return {line.partition("#")[0].strip() for line in text.splitlines()} - {""}


def _is(cpv: str, name: str) -> bool:
    """Whether ``cat/pkg-1.0`` is of ``cat/pkg``: a version begins with a digit."""
    return cpv.startswith(f"{name}-") and cpv[len(name) + 1].isdigit()
