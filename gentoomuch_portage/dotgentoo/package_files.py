# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse package.* files of a .gentoo directory: one entry per atom, with normalised values.

Content that depends on the order of lines or files is an error: names and order must have no meaning.
Source: portage(5), and portage's _config/UseManager.py, KeywordsManager.py and util.grabdict.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.safe_read import Line, Raw, display_path, parse_lines, split_words

KINDS = ("keywords", "mask", "unmask", "use", "license", "env")
"""In the order of the stream. ``keywords`` is package.keywords and package.accept_keywords together."""
FILES = {
    "package.keywords": "keywords",
    "package.accept_keywords": "keywords",
    "package.mask": "mask",
    "package.unmask": "unmask",
    "package.use": "use",
    "package.license": "license",
    "package.env": "env",
}
"""Name of a file or directory -> kind."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The values of an atom."""

    atom: str
    values: tuple[str, ...]
    """Normalised: sorted if their order has no meaning; USE_EXPAND blocks are expanded."""
    line: Line
    """The first line with the atom."""

    @property
    def text(self) -> str:
        """Return the entry as one line."""
        return " ".join((self.atom, *self.values))


def parse_entries(kind: str, raws: Iterable[Raw], top: Path) -> tuple[Entry, ...]:
    """Parse the entries of one kind, sorted.

    Args:
        top: the .gentoo directory, for messages.

    Raises:
        BadFile[bad-dotgentoo]: a line is invalid, or two lines contradict each other.
    """
    by_atom: dict[str, list[tuple[Line, tuple[str, ...]]]] = {}
    for raw in raws:
        for line in parse_lines(display_path(top, raw.name), raw.content):
            atom, *values = split_words(line)
            by_atom.setdefault(atom, []).append((line, _expand(kind, line, values)))
    if kind in {"mask", "unmask"}:
        _check_contradictions(by_atom)
    return tuple(
        sorted(
            (Entry(atom, _merge_lines(kind, atom, lines), lines[0][0]) for atom, lines in by_atom.items()), key=_text
        )
    )


def _text(entry: Entry) -> str:
    return entry.text


def _expand(kind: str, line: Line, values: Sequence[str]) -> tuple[str, ...]:
    """Return the values of a line, with USE_EXPAND blocks expanded.

    Raises:
        BadFile[bad-dotgentoo]: a value is missing or not allowed.
    """
    if kind in {"mask", "unmask"} and values:
        raise line.error(f"{values[0]!r} is not allowed after the atom", hint="write one atom per line")
    if kind in {"license", "env"} and not values:
        raise line.error("a value is missing after the atom")
    return tuple(_expand_flags(line, values)) if kind == "use" else tuple(values)


def _expand_flags(line: Line, values: Sequence[str]) -> Iterable[str]:
    """``VIDEO_CARDS: intel -amdgpu`` as ``video_cards_intel -video_cards_amdgpu``."""
    prefix, empty = "", ""
    for value in values:
        if value.endswith(":"):
            if value == ":" or empty:
                raise line.error(f"values are missing after {empty or value!r}")
            prefix, empty = f"{value[:-1].lower()}_", value
            continue
        empty = ""
        sign = "-" if value.startswith("-") else ""
        if value == "-":
            raise line.error("'-' has no flag", hint="write -flag")
        yield f"{sign}{prefix}{value.removeprefix('-')}"
    if empty:
        raise line.error(f"values are missing after {empty!r}")


def _merge_lines(kind: str, atom: str, lines: Sequence[tuple[Line, tuple[str, ...]]]) -> tuple[str, ...]:
    """Merge the values of all lines of an atom.

    Raises:
        BadFile[bad-dotgentoo]: the result depends on the order of lines.
    """
    settled = [(line, _normalise(kind, line, values)) for line, values in lines]
    first, values = settled[0]
    alone = kind in {"license", "env"} or any(
        _resets(kind, value) for _, line_values in settled for value in line_values
    )
    for line, others in settled[1:]:
        if alone and others != values:
            raise line.error(
                f"{atom} is in {first}, too, and the result would depend on their order", hint="merge the lines"
            )
    if alone:
        return values
    return _normalise(kind, settled[-1][0], [value for _, line_values in settled for value in line_values])


def _normalise(kind: str, line: Line, values: Iterable[str]) -> tuple[str, ...]:
    """Remove values that a later ``-*`` resets, and sort the others if their order has no meaning.

    Raises:
        BadFile[bad-dotgentoo]: a value is both added and removed.
    """
    kept: list[str] = []
    for value in values:
        if _resets(kind, value):
            kept = [earlier for earlier in kept if not earlier.removeprefix("-").startswith(_prefix(value))]
        kept.append(value)
    if kind == "env" or (kind == "license" and any(other.startswith("-") for other in kept[1:])):
        return tuple(kept)
    unique = set(kept)
    for value in sorted(unique):
        if value.startswith("-") and value[1:] in unique:
            raise line.error(f"{value[1:]!r} is both added and removed", hint="remove one")
    return tuple(sorted(unique, key=lambda value: (_order(kind, value), value)))


def _resets(kind: str, value: str) -> bool:
    """Return whether a value resets earlier ones: ``-*``, and for USE flags also ``-video_cards_*``."""
    return value == "-*" or (kind == "use" and value.endswith("*"))


def _prefix(value: str) -> str:
    return value.removeprefix("-").removesuffix("*")


def _order(kind: str, value: str) -> int:
    """Return a sort key: wildcards first, wider ones before narrower ones."""
    return len(_prefix(value)) - 1000 if _resets(kind, value) else 0


def _check_contradictions(by_atom: dict[str, list[tuple[Line, tuple[str, ...]]]]) -> None:
    for atom in sorted(by_atom):
        if atom.startswith("-") and atom[1:] in by_atom:
            raise by_atom[atom][0][0].error(f"{atom[1:]} is both masked and unmasked", hint="remove one")
