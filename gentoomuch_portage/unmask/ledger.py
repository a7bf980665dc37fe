"""The ledger: what was unmasked for a profile, why, and since when; as narrow as it can be said."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.errors import BadFile, unreadable

FILES = {
    "keywords": "package.accept_keywords",
    "use": "package.use",
    "license": "package.license",
    "mask": "package.unmask",
}
"""Kind of an entry -> the file of a configroot that it goes to."""


class Entry(NamedTuple):
    """One thing that was unmasked."""

    atom: str
    """``=cat/pkg-1.2``: this version alone."""
    kind: str
    """keywords, use, license or mask."""
    value: str = ""
    """``~amd64``, ``**``, flags, or licences; empty for a mask."""
    required_by: tuple[str, ...] = ()
    """What asked for it: cpvs, or what the user typed."""
    since: str = ""
    """The day: ``2026-11-21``."""
    reason: str = ""
    """What package.mask says of it, where it does."""

    @property
    def line(self) -> str:
        """As it stands in the configroot."""
        return f"{self.atom} {self.value}".rstrip()

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same entry."""
        return self.atom, self.kind, self.value


def name(profile: str) -> str:
    """The file of a profile's ledger, below a folder of state."""
    return f"{profile}/unmask.json"


def path(state: Path, profile: str) -> Path:
    """Where the ledger of a profile is kept."""
    return state / name(profile)


def read(state: Path, profile: str) -> tuple[Entry, ...]:
    """The entries of a profile, sorted.

    Raises:
        BadFile: the ledger is none.
    """
    place = path(state, profile)
    try:
        return parsed(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unreadable(place, error) from error
    except (ValueError, TypeError, KeyError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        remedy = f"restore it, or start anew: rm {place}"
        raise BadFile(place, line, f"this is no ledger: {error}", remedy=remedy) from error


def parsed(text: str) -> tuple[Entry, ...]:
    """The entries of a ledger's text, sorted.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    return tuple(sorted(Entry(**{**one, "required_by": tuple(one["required_by"])}) for one in json.loads(text)))


def text(entries: Iterable[Entry]) -> str:
    """A ledger as it is written."""
    return json.dumps([one._asdict() for one in entries], indent=1, sort_keys=True) + "\n"


def change(state: Path, profile: str, how: Callable[[tuple[Entry, ...]], Iterable[Entry]]) -> tuple[Entry, ...]:
    """Read, change and write the ledger while nobody else does; what it holds then."""
    place = path(state, profile)
    with fs.locked(place.with_suffix(".lock")):
        before = read(state, profile)
        after = tuple(sorted(how(before)))
        if after != before:
            fs.write(place, text(after))
    return after


def joined(before: Iterable[Entry], new: Iterable[Entry]) -> tuple[Entry, ...]:
    """Old and new entries; of the same entry the old date, the new reason and all requesters.

    A new USE flag beats its opposite.
    """
    total = {one.key: one for one in before}
    for one in new:
        if one.kind == "use":
            total = {left.key: left for old in total.values() if (left := _beaten(old, one)).value or old.kind != "use"}
        if known := total.get(one.key):
            required = tuple(sorted({*known.required_by, *one.required_by}))
            one = known._replace(required_by=required, reason=one.reason or known.reason)
        total[one.key] = one
    return tuple(total.values())


def _beaten(old: Entry, new: Entry) -> Entry:
    """An entry without the USE flags that a newer one of the same package says the opposite of."""
    if (old.kind, old.atom) != (new.kind, new.atom):
        return old
    opposite = {flag.removeprefix("-") if flag.startswith("-") else f"-{flag}" for flag in new.value.split()}
    return old._replace(value=" ".join(flag for flag in old.value.split() if flag not in opposite))
