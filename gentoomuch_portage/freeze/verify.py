# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare an archive with this machine, file by file."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple

from gentoomuch_portage.freeze.archive import KEY, Member

_OF_MACHINE = ("keys/", "binhosts.json", "configroot/")
"""Members that thawing does not install, or that are generated from others."""


class Change(NamedTuple):
    """A file that differs from its frozen state."""

    path: str
    """In the archive."""
    change: str
    """``added``, ``removed`` or ``changed``, since it was frozen."""
    before: Member | None
    now: Member | None


def find_changes(frozen: Mapping[str, Member], current: Iterable[Member], *, thawed: bool) -> list[Change]:
    """List the changes since a profile was frozen, by path.

    The composed configuration is compared only if none of its inputs changed.

    Args:
        thawed: whether the profile was thawed here; members that thawing does not install are not compared.
    """
    skipped = _OF_MACHINE if thawed else ()
    before = {path: member for path, member in frozen.items() if path != KEY and not path.startswith(skipped)}
    now = {member.path: member for member in current if not member.path.startswith(skipped)}
    changes = [
        Change(path, _kind(path, before, now), before.get(path), now.get(path))
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
    ]
    sources = [change for change in changes if not change.path.startswith("configroot/")]
    return sources or changes


def _kind(path: str, before: Mapping[str, Member], now: Mapping[str, Member]) -> str:
    return "added" if path not in before else "removed" if path not in now else "changed"


def unified_diff(change: Change) -> Iterator[str]:
    """Yield the lines of a unified diff without line ends; for a changed mode, one line."""
    first, second = _lines(change.before), _lines(change.now)
    old = f"frozen/{change.path}" if change.before else "/dev/null"
    new = f"here/{change.path}" if change.now else "/dev/null"
    lines = [*difflib.unified_diff(first, second, old, new, lineterm="")]
    differs = change.before is None or change.now is None or change.before.content != change.now.content
    yield from lines or ([f"--- {old}", f"+++ {new}"] if differs else [])  # only an empty file or a line end
    if change.before and change.now and change.before.mode != change.now.mode:
        yield f"mode of {change.path}: {change.before.mode:04o}, now {change.now.mode:04o}"


def _lines(member: Member | None) -> list[str]:
    if member is None:
        return []
    try:
        return member.content.decode().splitlines()
    except UnicodeDecodeError:
        return [f"{len(member.content)} bytes of binary data, SHA-256 {sha256(member.content).hexdigest()}"]
