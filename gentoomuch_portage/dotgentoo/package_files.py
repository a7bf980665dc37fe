"""The package.* files of a .gentoo folder: one entry an atom, its values in a form that only their meaning decides.

What depends on the order of lines or files is refused, since neither their names nor their order are to mean anything.
Source: portage(5), and portage's _config/UseManager.py, KeywordsManager.py and util.grabdict.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.safe_read import Line, Raw, lines, place, words

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
    """What a folder says of one atom."""

    atom: str
    values: tuple[str, ...]
    """Settled: in an order of their own where order means nothing. USE_EXPAND blocks are spelt out."""
    line: Line
    """Where it is said, the first time."""

    @property
    def text(self) -> str:
        """The entry as one line."""
        return " ".join((self.atom, *self.values))


def entries(kind: str, raws: Iterable[Raw], top: Path) -> tuple[Entry, ...]:
    """The entries of one kind, sorted.

    Args:
        top: the folder, for errors.

    Raises:
        BadFolder: a line is wrong, or two lines contradict each other.
    """
    said: dict[str, list[tuple[Line, tuple[str, ...]]]] = {}
    for raw in raws:
        for line in lines(place(top, raw.name), raw.content):
            atom, *values = words(line)
            said.setdefault(atom, []).append((line, _spelt(kind, line, values)))
    if kind in {"mask", "unmask"}:
        _refuse_both_ways(said)
    return tuple(sorted((Entry(atom, _joined(kind, atom, told), told[0][0]) for atom, told in said.items()), key=_text))


def _text(entry: Entry) -> str:
    return entry.text


def _spelt(kind: str, line: Line, values: Sequence[str]) -> tuple[str, ...]:
    """The values of a line, with USE_EXPAND blocks spelt out.

    Raises:
        BadFolder: a value stands where none belongs.
    """
    if kind in {"mask", "unmask"} and values:
        raise line.refuse(f"{values[0]!r} stands behind the atom", remedy="write one atom a line")
    if kind in {"license", "env"} and not values:
        raise line.refuse("nothing stands behind the atom")
    return tuple(_flags(line, values)) if kind == "use" else tuple(values)


def _flags(line: Line, values: Sequence[str]) -> Iterable[str]:
    """``VIDEO_CARDS: intel -amdgpu`` as ``video_cards_intel -video_cards_amdgpu``."""
    prefix, empty = "", ""
    for value in values:
        if value.endswith(":"):
            if value == ":" or empty:
                raise line.refuse(f"nothing stands behind {empty or value!r}")
            prefix, empty = f"{value[:-1].lower()}_", value
            continue
        empty = ""
        sign = "-" if value.startswith("-") else ""
        if value == "-":
            raise line.refuse("'-' takes nothing away", remedy="write -flag")
        yield f"{sign}{prefix}{value.removeprefix('-')}"
    if empty:
        raise line.refuse(f"nothing stands behind {empty!r}")


def _joined(kind: str, atom: str, told: Sequence[tuple[Line, tuple[str, ...]]]) -> tuple[str, ...]:
    """The values of all lines of one atom.

    Raises:
        BadFolder: what they come to depends on their order.
    """
    settled = [(line, _settled(kind, line, values)) for line, values in told]
    first, values = settled[0]
    alone = kind in {"license", "env"} or any(_resets(kind, one) for _, found in settled for one in found)
    for line, others in settled[1:]:
        if alone and others != values:
            raise line.refuse(f"{atom} stands in {first} too, and their order would matter", remedy="write one line")
    if alone:
        return values
    return _settled(kind, settled[-1][0], [one for _, found in settled for one in found])


def _settled(kind: str, line: Line, values: Iterable[str]) -> tuple[str, ...]:
    """The values without what a later ``-*`` takes away again, in an order of their own where order means nothing.

    Raises:
        BadFolder: one is both given and taken away.
    """
    kept: list[str] = []
    for value in values:
        if _resets(kind, value):
            kept = [one for one in kept if not one.removeprefix("-").startswith(_prefix(value))]
        kept.append(value)
    if kind == "env" or (kind == "license" and any(one.startswith("-") for one in kept[1:])):
        return tuple(kept)
    unique = set(kept)
    for value in sorted(unique):
        if value.startswith("-") and value[1:] in unique:
            raise line.refuse(f"{value[1:]!r} is both given and taken away", remedy="keep one of the two")
    return tuple(sorted(unique, key=lambda one: (_order(kind, one), one)))


def _resets(kind: str, value: str) -> bool:
    """Whether what stands before a value counts for nothing: ``-*``, and among USE flags ``-video_cards_*`` too."""
    return value == "-*" or (kind == "use" and value.endswith("*"))


def _prefix(value: str) -> str:
    return value.removeprefix("-").removesuffix("*")


def _order(kind: str, value: str) -> int:
    """Wildcards stand first, the widest before narrower ones."""
    return len(_prefix(value)) - 1000 if _resets(kind, value) else 0


def _refuse_both_ways(said: dict[str, list[tuple[Line, tuple[str, ...]]]]) -> None:
    for atom in sorted(said):
        if atom.startswith("-") and atom[1:] in said:
            raise said[atom][0][0].refuse(f"{atom[1:]} is both masked and not", remedy="keep one of the two")
