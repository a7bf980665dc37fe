"""make.conf from several layers: verbatim, one below the other, and what is incremental added up."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_SETS = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)=")
_SOURCES = re.compile(r"^\s*source\s+(['\"]?)([^'\"#\s]+)\1", re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The make.conf of one layer."""

    layer: str
    files: tuple[tuple[Path, str], ...]
    """Each file with its text, in the order in which Portage reads them."""
    values: Mapping[str, str]
    """What Portage reads in it, expanded."""

    def places(self, name: str) -> Iterator[tuple[Path, int]]:
        """Each file and line that sets a variable."""
        for path, text in self.files:
            for number, line in enumerate(text.splitlines(), 1):
                if (found := _SETS.match(line)) and found[1] == name:
                    yield path, number

    def sourced(self) -> Iterator[Path]:
        """The files that it sources, as far as their names can be read off."""
        for path, text in self.files:
            for _, name in _SOURCES.findall(text):
                known = re.sub(r"\$\{?(\w+)\}?", lambda found: self.values.get(found[1], ""), name)
                yield path.parent / known


def joined(pieces: Iterable[Piece], incremental: Collection[str], *, expanded: Collection[str] = ()) -> str:
    """One make.conf out of several.

    Args:
        incremental: names of variables that add up; a ``-flag`` in them also takes a flag of the
            make_profile away.
        expanded: names of USE_EXPAND variables. They add up among the layers, but what is said in
            a make.conf replaces what the make_profile says, and no ``-flag`` is allowed to remain.
            Source: portage's config.regenerate.

    Returns:
        Its text; the same pieces give the same text.
    """
    pieces = [piece for piece in pieces if piece.files]
    lines = ["# Made by gentoomuch out of the files named below. Change those; this one is made again."]
    for piece in pieces:
        for path, text in piece.files:
            lines += [f"# --- {piece.layer}: {path}", text.rstrip("\n")]
    sums = []
    for name in sorted({name for piece in pieces for name in piece.values} & {*incremental, *expanded}):
        said = [(piece.layer, piece.values[name]) for piece in pieces if name in piece.values]
        if len(said) > 1:
            total = added_up((value for _, value in said), negative=name not in expanded)
            sums += [f"# {', '.join(layer for layer, _ in said)}", f'{name}="{_escaped(total)}"']
    if sums:
        lines += ["# --- what is incremental adds up", *sums]
    return "\n".join(lines) + "\n"


def added_up(values: Iterable[str], *, negative: bool = True) -> str:
    """Several values of an incremental variable as one, as make_profiles add up.

    Args:
        negative: keep ``-flag`` and ``-*``, for what lies below.
    """
    held: dict[str, None] = {}
    for value in values:
        for token in value.split():
            if token == "-*":
                held.clear()
            plain = token.removeprefix("-")
            held.pop(plain, None)
            held.pop(f"-{plain}", None)
            held[token] = None
    return " ".join(token for token in held if negative or not token.startswith("-"))


def _escaped(value: str) -> str:
    """A value between double quotes of a make.conf."""
    return re.sub(r'([\\"$`])', r"\\\1", value)
