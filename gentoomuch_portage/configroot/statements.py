# SPDX-License-Identifier: GPL-2.0-or-later
"""The statements of layers, each with file and line."""

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
    """Unparsed, with its quotes."""
    value: str
    """As Portage reads it, expanded."""
    place: Place

    @property
    def refers_to_itself(self) -> bool:
        """Whether it extends the previous value: ``CFLAGS="${CFLAGS} -g"``."""
        return bool(re.search(rf"\$\{{?{self.name}\b", self.raw))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a layer's package.*: an atom and its flags, keywords or licenses."""

    layer: str
    kind: str
    """``package.use`` and the like."""
    atom: str
    values: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Token:
    """One token that enables or disables something."""

    layer: str
    subject: str
    """A variable, or the name of a file and an atom."""
    name: str
    on: bool
    place: Place


def assignments(composed: Composed, layers: Iterable[Source]) -> Iterator[Assigned]:
    """Generate the variables of each layer's make.conf, each with its last assignment."""
    for piece, layer in _pieces(composed, layers):
        last: dict[str, Assigned] = {}
        for path, text in piece.files:
            for match in _ASSIGNS.finditer(text):
                name, place = match[1], Place(path, text.count("\n", 0, match.start(1)) + 1)
                if name in piece.values:
                    last[name] = Assigned(layer.name, name, match[2], piece.values[name], place)
        yield from last.values()


def lines(composed: Composed, layers: Iterable[Source]) -> Iterator[Line]:
    """Generate the lines of each layer's package.*, in the order in which Portage reads them."""
    folders = {layer.folder: layer.name for layer in layers}
    for name, path in composed.origins.items():
        kind, layer = name.partition("/")[0], _owner(path, folders)
        if not kind.startswith("package.") or layer is None:
            continue
        for number, text in enumerate(composed.files[name][0].decode(errors="replace").splitlines(), 1):
            if words := text.partition("#")[0].split():
                yield Line(layer, kind, words[0], tuple(words[1:]), Place(path, number))


def split_variable(variable: Assigned) -> Iterator[Token]:
    """Split an incremental variable into tokens, each with its own line if it is written literally.

    Tokens that come from the variable's own previous value belong to an earlier layer and are left out.
    """
    extends = variable.refers_to_itself
    for word in variable.value.split():
        place = _find_token(variable, word)
        if word not in {"*", "-*"} and (place or not extends):
            yield Token(
                variable.layer, variable.name, word.removeprefix("-"), not word.startswith("-"), place or variable.place
            )


def split_line(line: Line) -> Iterator[Token]:
    """Split a line of package.* into tokens; ``VIDEO_CARDS: intel`` is the flag video_cards_intel."""
    prefix = ""
    for word in line.values:
        if word.endswith(":"):
            prefix = f"{word[:-1].lower()}_"
        elif word not in {"*", "-*"}:
            subject = f"{line.kind} {line.atom}"
            yield Token(line.layer, subject, prefix + word.removeprefix("-"), not word.startswith("-"), line.place)


def _pieces(composed: Composed, layers: Iterable[Source]) -> Iterator[tuple[Piece, Source]]:
    """Generate the make.conf of each layer, without the host's and without lines of plugins."""
    folders = {layer.folder: layer for layer in layers}
    for piece in composed.pieces:
        for path, _ in piece.files[:1]:
            if owner := next((layer for folder, layer in folders.items() if path.is_relative_to(folder)), None):
                yield piece, owner


def _owner(path: Path, folders: dict[Path, str]) -> str | None:
    return next((name for folder, name in folders.items() if path.is_relative_to(folder)), None)


def _find_token(variable: Assigned, word: str) -> Place | None:
    """Find the line of a token in an assignment; None if it comes from another variable."""
    match = re.search(rf"(?<![^\s\"'=]){re.escape(word)}(?![^\s\"'])", variable.raw)
    return (
        Place(variable.place.file, variable.place.line + variable.raw.count("\n", 0, match.start())) if match else None
    )
