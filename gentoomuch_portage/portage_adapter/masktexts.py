"""What masks a package, by our kinds, and what the comments of package.mask say of it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.policy import security


class Masked(NamedTuple):
    """One thing that masks a package."""

    code: str
    """``keywords``, ``mask``, ``license``, or what else Portage holds against it, in lower case."""
    reason: str
    """In Portage's words."""
    kind: str
    """As ``[unmask]`` names it; empty where nothing lifts it."""
    told: str
    """What lifts it, a keyword or licences; for ``mask`` all the comments, as far as there are any."""


_CODES = {"KEYWORDS": "keywords", "package.mask": "mask", "LICENSE": "license", "CHOST": "abi", "EAPI": "eapi"}
"""Categories of Portage's reasons that we name otherwise."""


def masked(found: Iterable[Any], cpv: Any, repo: str, settings: Any) -> Iterator[Masked]:
    """What Portage's reasons, as _getmaskingstatus gives them, come to."""
    for one in found:
        code = _CODES.get(one.category, one.category.lower())
        kind, told = _lifting(one.unmask_hint, cpv, repo, settings)
        yield Masked(code, one.message, kind, told)


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
    """The comments of all lines that mask a package.

    Portage shows that of the first, and the user's own come first; but lifted are all of them, and it may be the last
    that tells of a vulnerability.
    """
    from portage.util import grablines

    repositories, own = settings.repositories, settings["PORTAGE_CONFIGROOT"]
    places = [Path(own, "etc/portage"), *map(Path, reversed(settings.profiles))]
    if repo in repositories:
        of = repositories[repo]
        places += [Path(one.location, "profiles") for one in (of, *reversed(of.masters))]
    told: dict[str, None] = {}
    for place in places:
        pieces: dict[str, list[str]] = {}
        for line, file in grablines(str(place / "package.mask"), recursive=1, remember_source_file=True):
            pieces.setdefault(file, []).append(line.strip())
        for lines in pieces.values():
            told.update(dict.fromkeys(_comments(lines, cpv)))
    return " ".join(filter(None, told))


def _comments(lines: Iterable[str], cpv: Any) -> Iterator[str]:
    """What stands above each line that means a package; a comment is for all lines up to a blank one."""
    from portage.dep import Atom, match_from_list
    from portage.exception import InvalidAtom

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
    """Whether a mask that an entry lifts tells of a vulnerability by now, and did not when it was lifted."""
    return entry.kind == "mask" and not security(entry.reason) and security(text(cpv, repo, settings))
