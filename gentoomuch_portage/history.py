# SPDX-License-Identifier: GPL-2.0-or-later
"""Read and append the history of runs: one JSON event per line, in ``state/PROFILE/history.jsonl``.

Each line is a single write, so concurrent or killed runs leave whole lines. If a full disk leaves half a line, the
next event starts a new line and the half is skipped. Full files are rotated under numbers.
"""

import json
import os
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs, stored
from gentoomuch_portage.errors import BadFile, unreadable

FULL = 4_000_000
"""Bytes, about 8,000 packages. A file of this size is rotated."""
ROTATED = 4
"""Number of rotated files; the oldest is removed."""


def path(state: Path, profile: str) -> Path:
    """Return the path of the history of a profile."""
    return state / profile / "history.jsonl"


def list_profiles(state: Path) -> list[str]:
    """List the profiles that have a history, sorted."""
    return sorted(file.parent.name for file in state.glob("*/history.jsonl"))


def append(state: Path, profile: str, event: Mapping[str, Any]) -> None:
    """Append an event to the history of a profile.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly, OSError: it cannot be written.
    """
    place = path(state, profile)
    line = json.dumps(event, sort_keys=True, default=str)
    with fs.locked(place.with_suffix(".lock")), fs.disk_errors(place):
        if place.is_file():
            if place.stat().st_size >= FULL:
                _rotate(place)
            elif not _ends_with_newline(place):
                line = f"\n{line}"
        fs.append(place, line, follow=False)


@dataclass(slots=True)
class Record:
    """The result of a run that is being recorded."""

    status: int = 70
    """Exit status."""


@contextmanager
def recording(state: Path, profile: str, arguments: Sequence[str], goal: str) -> Iterator[Record]:
    """Record a run that is not one of emerge: its begin, and its end with the status that the block sets.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly, OSError: the history cannot be written.
    """
    began, record = time.time(), Record()
    event = {"run": os.urandom(16).hex(), "profile": profile, "arguments": list(arguments)}
    begin = {"goal": goal, "process": os.getpid(), "merges": [], "rejected": {}, "unmasked": []}
    append(state, profile, {**event, **begin, "event": "resolved", "at": began})
    try:
        yield record
    finally:
        ended = time.time()
        end = {"status": record.status, "seconds": ended - began}
        append(state, profile, {**event, **end, "event": "ended", "at": ended})


def _rotate(place: Path) -> None:
    for number in range(ROTATED - 1, 0, -1):
        older = place.with_suffix(f".{number}.jsonl")
        if older.is_file():
            older.replace(place.with_suffix(f".{number + 1}.jsonl"))
    place.replace(place.with_suffix(".1.jsonl"))


def _ends_with_newline(place: Path) -> bool:
    with place.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_events(state: Path, profile: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a profile, the oldest first."""
    place = path(state, profile)
    for file in (*(place.with_suffix(f".{number}.jsonl") for number in range(ROTATED, 0, -1)), place):
        for line in _lines(file):
            try:
                event = json.loads(line)
            except stored.DAMAGED:
                continue  # half a line
            if isinstance(event, dict):
                event = {_OLD_FIELDS.get(name, name): value for name, value in event.items()}
            if _is_event(event):
                yield event


def _lines(file: Path) -> list[str]:
    """Read the lines of a history file; none if it is missing.

    Raises:
        BadFile: the file cannot be read.
    """
    try:
        return stored.read_bytes(file).decode(errors="replace").splitlines()
    except FileNotFoundError as error:
        if not file.is_symlink():
            return []
        raise _bad_file(file, "link to a missing file") from error
    except PermissionError as error:
        raise unreadable(file, error) from error
    except OSError as error:
        raise _bad_file(file, (error.strerror or str(error)).lower()) from error


def _bad_file(file: Path, why: str) -> BadFile:
    hint = f"mv {shlex.quote(str(file))} {shlex.quote(f'{file}.bad')}"
    return BadFile(file, 0, f"cannot read the history of runs: {why}", hint=hint)


_NUMBER = (int, float)
_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "resolved": {
        "arguments": list, "goal": str, "process": int, "merges": list, "rejected": dict, "unmasked": list,
    },
    "package": {"cpv": str, "status": int, "seconds": _NUMBER, "source": str},
    "ended": {"arguments": list, "status": int, "seconds": _NUMBER},
}  # fmt: skip
"""Event -> the fields that are read of it, and their types."""
_OLD_FIELDS = {"words": "arguments", "refused": "rejected"}
"""Names that histories of version 0.1 use."""


def _is_event(event: object) -> bool:
    """Check whether a line of the history is an event with all fields that are read of it."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return False
    fields = {"run": str, "at": _NUMBER, **_FIELDS.get(event["event"], {})}
    if not all(isinstance(event.get(name), types) for name, types in fields.items()):
        return False
    merges = event.get("merges", ())
    return all(isinstance(merge, dict) and isinstance(merge.get("cpv"), str) for merge in merges)


@dataclass(slots=True)
class Run:
    """One run of emerge, as recorded."""

    run: str
    profile: str
    at: float
    """Seconds since the epoch: when dependencies were resolved, or, if nothing was merged, when the run ended."""
    arguments: tuple[str, ...] = ()
    goal: str = ""
    """``merge``, ``build`` or ``fetch``; ``enter`` or ``rollback`` for commands of ``root``; empty if nothing was to be
    merged."""
    status: int | None = None
    """Exit status of emerge; None if it was killed or is still running."""
    seconds: float = 0
    process: int = 0
    planned: tuple[str, ...] = ()
    """The packages (cpv) that were to be merged."""
    packages: list[dict[str, Any]] = field(default_factory=list)
    """``package`` events, in the order in which they ended."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    unmasked: tuple[Mapping[str, Any], ...] = ()


def read_runs(state: Path, profile: str) -> list[Run]:
    """Read the runs of a profile, the oldest first."""
    by_id: dict[str, Run] = {}
    for event in read_events(state, profile):
        run = by_id.setdefault(event["run"], Run(run=event["run"], profile=profile, at=event["at"]))
        match event["event"]:
            case "resolved":
                run.arguments, run.goal = tuple(event["arguments"]), event["goal"]
                run.process, run.planned = event["process"], tuple(merge["cpv"] for merge in event["merges"])
                run.rejected, run.unmasked = event["rejected"], tuple(event["unmasked"])
            case "package":
                run.packages.append({**event, "profile": profile})  # it may have been renamed
            case "ended":
                run.arguments, run.status, run.seconds = tuple(event["arguments"]), event["status"], event["seconds"]
    return list(by_id.values())


def read_packages(state: Path, profiles: Iterable[str], goal: str = "") -> list[dict[str, Any]]:
    """Read all ``package`` events of several profiles, the oldest first, each with the goal of its run.

    Args:
        goal: only runs with this goal (default: all).
    """
    events = [
        {**package, "goal": run.goal}
        for profile in profiles
        for run in read_runs(state, profile)
        if not goal or run.goal == goal
        for package in run.packages
    ]
    return sorted(events, key=lambda event: float(event["at"]))
