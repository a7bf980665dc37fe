"""make.conf from several layers: verbatim, one below the other, and what is incremental added up."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_SETS = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)=")
_SOURCES = re.compile(r"^[^\S\n]*source[^\S\n]+(['\"]?)([^'\"#\s]+)\1", re.M)


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
        """The files that it sources, and those that they source, as far as their names can be read off."""
        texts = list(self.files)
        seen: set[Path] = set()
        while texts:
            path, text = texts.pop()
            for found in _SOURCES.finditer(text):
                named = _meant(path, found[2], self.values)
                if named in seen:
                    continue
                seen.add(named)
                yield named
                if named.is_file() and os.access(named, os.R_OK):
                    texts.append((named, named.read_text(encoding="utf-8", errors="replace")))

    def text(self, path: Path, text: str) -> str:
        """The text of one of its files as it reads from elsewhere: what it sources is named in full."""
        return _SOURCES.sub(lambda found: f'source "{_meant(path, found[2], self.values)}"', text)


def _meant(path: Path, name: str, values: Mapping[str, str]) -> Path:
    """The file that ``source NAME`` in a file means. Source: shlex.sourcehook, which Portage uses."""
    return path.parent / re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), name)


_HEAD = "# Made by gentoomuch out of the files named below. Change those; this one is made again."


def joined(pieces: Iterable[Piece], incremental: Collection[str], *, expanded: Collection[str] = ()) -> str:
    """One make.conf out of several.

    A sum is left to Portage, which alone knows what ``${EPREFIX}`` or a make_profile's variable means:
    names that begin with ``__`` stay in the file (Source: portage's config).

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
    said = _said(pieces, {*incremental, *expanded})
    reduced = {name for name in said if name in expanded and any(" -" in f" {value}" for _, value in said[name])}
    shared = {name: values for name, values in said.items() if len(values) > 1 or name in reduced}
    lines = [_HEAD]
    for piece in pieces:
        lines += _verbatim(piece)
        added = sorted(name for name in shared if name in piece.values and name not in reduced)
        lines += [f'__gm_{name}="${{__gm_{name}}} ${{{name}}}"' for name in added]
    if shared:
        lines.append("# --- what is incremental adds up")
    for name, values in sorted(shared.items()):
        total = added_up((value for _, value in values), negative=False) if name in reduced else f"${{__gm_{name}}}"
        lines += [f"# {', '.join(layer for layer, _ in values)}", f'{name}="{total}"']
    return "\n".join(lines) + "\n"


def defaults(pieces: Iterable[Piece], incremental: Collection[str]) -> str:
    """One make.defaults out of several: as ``joined``, but in words, for here no name stays in the file."""
    pieces = list(pieces)
    lines = [_HEAD, *(line for piece in pieces for line in _verbatim(piece))]
    for name, values in sorted(_said(pieces, incremental).items()):
        if len(values) > 1:
            total = added_up(value for _, value in values)
            lines += [f"# {', '.join(layer for layer, _ in values)}", f'{name}="{total}"']
    return "\n".join(lines) + "\n"


def _verbatim(piece: Piece) -> Iterator[str]:
    for path, text in piece.files:
        yield f"# --- {piece.layer}: {path}"
        yield piece.text(path, text).rstrip("\n")


def _said(pieces: Iterable[Piece], names: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Variables: each layer that sets one, with its value."""
    said: dict[str, list[tuple[str, str]]] = {}
    for piece in pieces:
        for name in piece.values.keys() & set(names):
            said.setdefault(name, []).append((piece.layer, piece.values[name]))
    return said


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
