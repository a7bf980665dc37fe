# SPDX-License-Identifier: GPL-2.0-or-later
"""Find what masks a package, with the comments of package.mask."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import portage
from portage.dep import Atom, match_from_list
from portage.exception import InvalidAtom
from portage.package.ebuild import getmaskingstatus
from portage.util import grablines

from gentoomuch_portage.portage_adapter.trees import ensure_arch
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import is_security_mask


class Masked(NamedTuple):
    """One reason why a package is masked."""

    code: str
    """``keywords``, ``mask``, ``license``, or another category of Portage in lower case."""
    reason: str
    """Message of Portage."""
    kind: str
    """Kind in ``[unmask]``; empty if the mask cannot be lifted."""
    values: str
    """The keyword or licences that lift it; for ``mask`` all comments of package.mask, may be empty."""


_CODES = {"KEYWORDS": "keywords", "package.mask": "mask", "LICENSE": "license", "CHOST": "abi", "EAPI": "eapi"}
"""Category of Portage -> our code, if they differ."""


def find_masks(cpv: Any, repo: str, portdb: Any, settings: Any) -> Iterator[Masked]:
    """Find what masks an ebuild."""
    own = portage.config(clone=settings)
    ensure_arch(own)
    yield from masked(getmaskingstatus._getmaskingstatus(str(cpv), own, portdb, repo), cpv, repo, settings)


def masked(reasons: Iterable[Any], cpv: Any, repo: str, settings: Any) -> Iterator[Masked]:
    """Convert the reasons that _getmaskingstatus returns."""
    for reason in reasons:
        code = _CODES.get(reason.category, reason.category.lower())
        kind, details = _lifting(reason.unmask_hint, cpv, repo, settings)
        yield Masked(code, reason.message, kind, details)


def _lifting(hint: Any, cpv: Any, repo: str, settings: Any) -> tuple[str, str]:
    match hint.key if hint else "":
        case "unstable keyword":
            return "live" if hint.value == "**" else "keywords", str(hint.value)
        case "p_mask":
            return "mask", text(cpv, repo, settings)
        case "license":
            return "license", " ".join(sorted(hint.value))
    return "", ""


def text(cpv: Any, repo: str, settings: Any) -> str:
    """Return the comments of all lines that mask a package.

    Portage shows only the comment of the first line, and the user's own lines come first. An entry lifts all of them,
    and only the last comment may name a vulnerability.
    """
    repositories, own = settings.repositories, settings["PORTAGE_CONFIGROOT"]
    places = [Path(own, "etc/portage"), *map(Path, reversed(settings.profiles))]
    if repo in repositories:
        owner = repositories[repo]
        places += [Path(repository.location, "profiles") for repository in (owner, *reversed(owner.masters))]
    comments: dict[str, None] = {}
    for place in places:
        pieces: dict[str, list[str]] = {}
        for line, file in grablines(str(place / "package.mask"), recursive=1, remember_source_file=True):
            pieces.setdefault(file, []).append(line.strip())
        for lines in pieces.values():
            comments.update(dict.fromkeys(_comments(lines, cpv)))
    return " ".join(filter(None, comments))


def _comments(lines: Iterable[str], cpv: Any) -> Iterator[str]:
    """Yield the comment above each line that matches a package; it applies to all lines up to a blank line."""
    comment: list[str] = []
    for line in lines:
        if not line:
            comment = []
        elif line.startswith("#"):
            comment.append(line.strip("# "))
        elif cpv.cp in line or "*" in line:
            with suppress(InvalidAtom):
                if match_from_list(Atom(line.partition("#")[0].strip(), allow_repo=True, allow_wildcard=True), [cpv]):
                    yield " ".join(comment).strip()


def unsafe_since(entry: Entry, cpv: Any, repo: str, settings: Any) -> bool:
    """Return True if the mask that an entry lifts names a vulnerability now, and did not when it was lifted."""
    return entry.kind == "mask" and not is_security_mask(entry.reason) and is_security_mask(text(cpv, repo, settings))
