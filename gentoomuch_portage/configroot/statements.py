"""What layers say, statement by statement, each with its place."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.configroot.layers import Composed, Source
from gentoomuch_portage.configroot.make_conf import Piece

_ASSIGNS = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)=((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])*)""", re.M | re.S
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, counted from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Assigned:
    """A variable that a layer's make.conf sets."""

    layer: str
    name: str
    raw: str
    """As it is written, with its quotes."""
    value: str
    """What Portage reads, expanded."""
    place: Place

    @property
    def refers_to_itself(self) -> bool:
        """Whether it builds on what was said before: ``CFLAGS="${CFLAGS} -g"``."""
        return bool(re.search(rf"\$\{{?{self.name}\b", self.raw))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a layer's package.*: an atom and what is said about it."""

    layer: str
    kind: str
    """``package.use`` and the like."""
    atom: str
    words: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Token:
    """One word that switches something on or off."""

    layer: str
    subject: str
    """A variable, or an atom behind the name of its file."""
    name: str
    on: bool
    place: Place


def assignments(composed: Composed, layers: Iterable[Source]) -> Iterator[Assigned]:
    """Each variable of each layer's make.conf, by its last line there, which is the one that counts."""
    for piece, layer in _pieces(composed, layers):
        last: dict[str, Assigned] = {}
        for path, text in piece.files:
            for found in _ASSIGNS.finditer(text):
                name, place = found[1], Place(path, text.count("\n", 0, found.start(1)) + 1)
                if name in piece.values:
                    last[name] = Assigned(layer.name, name, found[2], piece.values[name], place)
        yield from last.values()


def lines(composed: Composed, layers: Iterable[Source]) -> Iterator[Line]:
    """Each line of each layer's package.*, in the order in which Portage reads them."""
    folders = {one.folder: one.name for one in layers}
    for at, path in composed.origins.items():
        kind, layer = at.partition("/")[0], _owner(path, folders)
        if not kind.startswith("package.") or layer is None:
            continue
        for number, text in enumerate(composed.files[at][0].decode(errors="replace").splitlines(), 1):
            if words := text.partition("#")[0].split():
                yield Line(layer, kind, words[0], tuple(words[1:]), Place(path, number))


def of_variable(said: Assigned) -> Iterator[Token]:
    """The tokens of an incremental variable, each at its own line where it is written out.

    What comes in by the variable's own name was said by an earlier layer, and not by this one.
    """
    takes_over = said.refers_to_itself
    for word in said.value.split():
        place = _within(said, word)
        if word not in {"*", "-*"} and (place or not takes_over):
            yield Token(said.layer, said.name, word.removeprefix("-"), not word.startswith("-"), place or said.place)


def of_line(said: Line) -> Iterator[Token]:
    """The tokens of a line of package.*; ``VIDEO_CARDS: intel`` is the flag video_cards_intel."""
    prefix = ""
    for word in said.words:
        if word.endswith(":"):
            prefix = f"{word[:-1].lower()}_"
        elif word not in {"*", "-*"}:
            subject = f"{said.kind} {said.atom}"
            yield Token(said.layer, subject, prefix + word.removeprefix("-"), not word.startswith("-"), said.place)


def _pieces(composed: Composed, layers: Iterable[Source]) -> Iterator[tuple[Piece, Source]]:
    """The make.conf of each layer; not the host's, and not what plugins add."""
    folders = {one.folder: one for one in layers}
    for piece in composed.pieces:
        for path, _ in piece.files[:1]:
            if owner := next((layer for folder, layer in folders.items() if path.is_relative_to(folder)), None):
                yield piece, owner


def _owner(path: Path, folders: dict[Path, str]) -> str | None:
    return next((name for folder, name in folders.items() if path.is_relative_to(folder)), None)


def _within(said: Assigned, word: str) -> Place | None:
    """The line of a word in an assignment; None where it comes in by another variable."""
    found = re.search(rf"(?<![^\s\"'=]){re.escape(word)}(?![^\s\"'])", said.raw)
    return Place(said.place.file, said.place.line + said.raw.count("\n", 0, found.start())) if found else None
