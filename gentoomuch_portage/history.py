"""The record: what each run of a profile did, a line an event, in ``state/PROFILE/history.jsonl``.

A line is one write, so runs that are killed or that write at the same time leave whole lines; should a full disk have
left half of one, the next line begins anew and the half is passed over. Full files are kept under numbers.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs

FULL = 4_000_000
"""Bytes; some 8,000 packages. A file that has so many is put aside."""
KEPT = 4
"""How many full files are kept; the oldest goes."""


def path(state: Path, profile: str) -> Path:
    """Where the record of a profile is written."""
    return state / profile / "history.jsonl"


def profiles(state: Path) -> list[str]:
    """The profiles of which something was written down, sorted."""
    return sorted(found.parent.name for found in state.glob("*/history.jsonl"))


def append(state: Path, profile: str, event: Mapping[str, Any]) -> None:
    """Write an event down.

    Raises:
        NoPrivilege, OSError: it cannot be written.
    """
    place = path(state, profile)
    line = json.dumps(event, sort_keys=True, default=str)
    with fs.locked(place.with_suffix(".lock")):
        if place.is_file():
            if place.stat().st_size >= FULL:
                _put_aside(place)
            elif not _whole(place):
                line = f"\n{line}"
        fs.append(place, line, follow=False)


def _put_aside(place: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        older = place.with_suffix(f".{number}.jsonl")
        if older.is_file():
            older.replace(place.with_suffix(f".{number + 1}.jsonl"))
    place.replace(place.with_suffix(".1.jsonl"))


def _whole(place: Path) -> bool:
    with place.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def events(state: Path, profile: str) -> Iterator[dict[str, Any]]:
    """What was written down of a profile, the oldest first; nothing where nothing was."""
    place = path(state, profile)
    for file in (*(place.with_suffix(f".{number}.jsonl") for number in range(KEPT, 0, -1)), place):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue  # half a line
            if isinstance(found, dict) and {"event", "at", "run"} <= found.keys():
                yield found


@dataclass(slots=True)
class Run:
    """One run of emerge, as far as it was written down."""

    run: str
    profile: str
    at: float
    """Seconds since the epoch: when it was resolved, or ended where it merged nothing."""
    words: tuple[str, ...] = ()
    goal: str = ""
    """``merge``, ``build`` or ``fetch``; empty where it merged nothing."""
    status: int | None = None
    """Emerge's exit status; None where it was killed or still runs."""
    seconds: float = 0
    process: int = 0
    planned: tuple[str, ...] = ()
    """The cpvs that it was to merge."""
    packages: list[dict[str, Any]] = field(default_factory=list)
    """``package`` events, in the order in which they ended."""
    refused: Mapping[str, str] = field(default_factory=dict)
    unmasked: tuple[Mapping[str, Any], ...] = ()


def runs(state: Path, profile: str) -> list[Run]:
    """The runs of a profile, the oldest first."""
    found: dict[str, Run] = {}
    for event in events(state, profile):
        one = found.setdefault(event["run"], Run(run=event["run"], profile=profile, at=event["at"]))
        match event["event"]:
            case "resolved":
                one.words, one.goal = tuple(event["words"]), event["goal"]
                one.process, one.planned = event["process"], tuple(merge["cpv"] for merge in event["merges"])
                one.refused, one.unmasked = event["refused"], tuple(event["unmasked"])
            case "package":
                one.packages.append(event)
            case "ended":
                one.words, one.status, one.seconds = tuple(event["words"]), event["status"], event["seconds"]
    return list(found.values())


def packages(state: Path, profiles: Iterable[str], goal: str = "") -> list[dict[str, Any]]:
    """Every package that ended, of several profiles, the oldest first, with the goal of its run besides.

    Args:
        goal: of these runs alone; empty for all.
    """
    found = [
        {**package, "goal": one.goal}
        for profile in profiles
        for one in runs(state, profile)
        if not goal or one.goal == goal
        for package in one.packages
    ]
    return sorted(found, key=lambda one: float(one["at"]))
