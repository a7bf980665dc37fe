# SPDX-License-Identifier: GPL-2.0-or-later
"""The ledger of a profile: what was unmasked, for which package, why, and since when."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import fs, stored

FILES = {
    "keywords": "package.accept_keywords",
    "use": "package.use",
    "license": "package.license",
    "mask": "package.unmask",
}
"""Kind of an entry -> its file in a configroot."""


class Entry(NamedTuple):
    """An unmasked version of a package."""

    atom: str
    """``=cat/pkg-1.2``: only this version."""
    kind: str
    """keywords, use, license or mask."""
    value: str = ""
    """``~amd64``, ``**``, flags, or licences; empty for a mask."""
    required_by: tuple[str, ...] = ()
    """What requires it: cpvs, or arguments of the command line."""
    since: str = ""
    """Date as ``2026-11-21``."""
    reason: str = ""
    """Comment in package.mask, if any."""

    @property
    def line(self) -> str:
        """Line in the configroot."""
        return f"{self.atom} {self.value}".rstrip()

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity of the entry."""
        return self.atom, self.kind, self.value


def file_name(profile: str) -> str:
    """Return the path of a profile's ledger below the state directory."""
    return f"{profile}/unmask.json"


def is_valid(entry: Entry) -> bool:
    """Return whether an untrusted entry has a known kind and only printable text without line ends."""
    texts = (entry.atom, entry.value, entry.since, entry.reason, *entry.required_by)
    return entry.kind in FILES and all(isinstance(text, str) and text.isprintable() for text in texts)


def path(state: Path, profile: str) -> Path:
    """Return the path of a profile's ledger."""
    return state / file_name(profile)


def read(state: Path, profile: str) -> tuple[Entry, ...]:
    """Load the entries of a profile, sorted.

    Raises:
        BadFile: the ledger is damaged.
    """
    return stored.load(path(state, profile), parse, "a ledger of what was unmasked") or ()


def parse(text: str) -> tuple[Entry, ...]:
    """Parse the text of a ledger into sorted entries.

    Raises:
        ValueError, TypeError, KeyError: it is invalid.
    """
    return tuple(sorted(map(_parse_entry, json.loads(text))))


def _parse_entry(data: dict[str, Any]) -> Entry:
    """Parse an entry of a ledger.

    Raises:
        ValueError, TypeError, KeyError: it is invalid, or of an unknown kind.
    """
    entry = Entry(**{**data, "required_by": tuple(data["required_by"])})
    texts = (entry.atom, entry.kind, entry.value, *entry.required_by, entry.since, entry.reason)
    if not all(isinstance(text, str) for text in texts) or entry.kind not in FILES:
        raise ValueError(f"{data!r} is not an entry")
    if not (entry.line.isprintable() and entry.atom):  # a line end would add a line to the configroot
        raise ValueError(f"{data!r} is not an entry")
    return entry


def format_ledger(entries: Iterable[Entry]) -> str:
    """Format a ledger for its file."""
    return json.dumps([entry._asdict() for entry in entries], indent=1, sort_keys=True) + "\n"


def change(state: Path, profile: str, how: Callable[[tuple[Entry, ...]], Iterable[Entry]]) -> tuple[Entry, ...]:
    """Read, change and write the ledger under a lock; return the new entries."""
    place = path(state, profile)
    with fs.locked(place.with_suffix(".lock")):
        before = read(state, profile)
        after = tuple(sorted(how(before)))
        if after != before:
            fs.write(place, format_ledger(after))
    return after


def rename(state: Path, profile: str, renames: Mapping[str, str]) -> frozenset[str]:
    """Give the entries of moved packages their new names; return the old atoms.

    Args:
        renames: old atom -> new atom.
    """
    moved = frozenset(entry.atom for entry in read(state, profile)) & renames.keys()
    if moved:
        change(
            state,
            profile,
            lambda entries: (entry._replace(atom=renames.get(entry.atom, entry.atom)) for entry in entries),
        )
    return moved


def merge(before: Iterable[Entry], new: Iterable[Entry]) -> tuple[Entry, ...]:
    """Merge old and new entries; equal ones keep the old date and get the new reason and all requirers.

    A new USE flag replaces its opposite.
    """
    total = {entry.key: entry for entry in before}
    for entry in new:
        if entry.kind == "use":
            total = {
                left.key: left
                for old in total.values()
                if (left := _without_opposites(old, entry)).value or old.kind != "use"
            }
        if known := total.get(entry.key):
            required = tuple(sorted({*known.required_by, *entry.required_by}))
            entry = known._replace(required_by=required, reason=entry.reason or known.reason)
        total[entry.key] = entry
    return tuple(total.values())


def _without_opposites(old: Entry, new: Entry) -> Entry:
    """Return an entry without the USE flags whose opposite is in a newer entry of the same package."""
    if (old.kind, old.atom) != (new.kind, new.atom):
        return old
    opposite = {flag.removeprefix("-") if flag.startswith("-") else f"-{flag}" for flag in new.value.split()}
    return old._replace(value=" ".join(flag for flag in old.value.split() if flag not in opposite))
