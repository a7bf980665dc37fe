"""What differs between an archive and this machine, file by file."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple

from gentoomuch_portage.freeze.archive import KEY, Member

_OF_MACHINE = ("keys/", "binhosts.json", "configroot/")
"""What thawing leaves to the machine, or makes anew from the rest."""


class Change(NamedTuple):
    """A file that is not as it was frozen."""

    path: str
    """In the archive."""
    change: str
    """``added``, ``removed`` or ``changed``, since it was frozen."""
    before: Member | None
    now: Member | None


def drift(frozen: Mapping[str, Member], here: Iterable[Member], *, thawed: bool) -> list[Change]:
    """The changes since a profile was frozen, by path.

    What is composed follows from the rest, so it is told of only where nothing else has changed.

    Args:
        thawed: the profile came out of an archive here; what thawing does not install is not compared.
    """
    left_out = _OF_MACHINE if thawed else ()
    before = {path: one for path, one in frozen.items() if path != KEY and not path.startswith(left_out)}
    now = {one.path: one for one in here if not one.path.startswith(left_out)}
    changes = [
        Change(path, _kind(path, before, now), before.get(path), now.get(path))
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
    ]
    sources = [one for one in changes if not one.path.startswith("configroot/")]
    return sources or changes


def _kind(path: str, before: Mapping[str, Member], now: Mapping[str, Member]) -> str:
    return "added" if path not in before else "removed" if path not in now else "changed"


def unified(change: Change) -> Iterator[str]:
    """The lines of a unified diff, without line ends; at least two for each file, or one for its mode."""
    first, second = _lines(change.before), _lines(change.now)
    old = f"frozen/{change.path}" if change.before else "/dev/null"
    new = f"here/{change.path}" if change.now else "/dev/null"
    lines = [*difflib.unified_diff(first, second, old, new, lineterm="")]
    other = change.before is None or change.now is None or change.before.content != change.now.content
    yield from lines or ([f"--- {old}", f"+++ {new}"] if other else [])  # an empty file, or a line end alone
    if change.before and change.now and change.before.mode != change.now.mode:
        yield f"mode of {change.path}: {change.before.mode:04o}, now {change.now.mode:04o}"


def _lines(member: Member | None) -> list[str]:
    if member is None:
        return []
    try:
        return member.content.decode().splitlines()
    except UnicodeDecodeError:
        return [f"{len(member.content)} bytes that are no text, SHA-256 {sha256(member.content).hexdigest()}"]
