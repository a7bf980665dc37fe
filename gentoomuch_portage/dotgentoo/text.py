"""Text of a .gentoo folder: UTF-8, in lines, and the words of a line without comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gentoomuch_portage.dotgentoo.errors import BadFolder

_ODD = re.compile(r"[^\S \t]|[\x00-\x08\x0e-\x1f\x7f]|[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Spaces that are none to the eye or to some readers, control characters, and what turns text around."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that says something."""

    file: str
    number: int
    """Counted from 1."""
    text: str

    def refuse(self, what: str, *, remedy: str = "") -> BadFolder:
        """An error about this line."""
        return BadFolder(self.file, self.number, what, remedy=remedy)

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def decoded(file: str, content: bytes) -> str:
    r"""A text with ``\n`` at the end of each line, the last one too.

    Raises:
        BadFolder: it is no UTF-8, begins with a byte order mark, or has a carriage return or a NUL where none belongs.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFolder(file, content.count(b"\n", 0, error.start) + 1, "this is no UTF-8") from error
    if text.startswith("\ufeff"):
        raise BadFolder(file, 1, "it begins with a byte order mark", remedy="save it as UTF-8 without one")
    text = text.replace("\r\n", "\n")
    for odd, told in (("\r", "a carriage return that ends no line"), ("\0", "a NUL")):
        if odd in text:
            raise BadFolder(file, text.count("\n", 0, text.index(odd)) + 1, f"there is {told}")
    return text if text.endswith("\n") or not text else f"{text}\n"


def lines(file: str, content: bytes, comments: str = "#") -> Iterator[Line]:
    """The lines that are neither empty nor a comment as a whole; their ends are not stripped.

    Args:
        comments: the signs that begin a comment.

    Raises:
        BadFolder: as ``decoded``.
    """
    for number, text in enumerate(decoded(file, content).split("\n"), 1):
        if (bare := text.strip()) and bare[0] not in comments:
            yield Line(file, number, text)


def words(line: Line) -> tuple[str, ...]:
    """The words of a line of package.*; a word that begins with ``#`` begins a comment.

    Source: portage.util.grabdict.

    Raises:
        BadFolder: it has a space or a sign that readers disagree on.
    """
    found = []
    for word in re.split(r"[ \t]+", line.text.strip(" \t")):
        if word.startswith("#"):
            break
        plain(line, word)
        found.append(word)
    return tuple(found)


def plain(line: Line, text: str) -> str:
    """A text that every reader sees alike.

    Raises:
        BadFolder: it has a space or a sign that readers disagree on.
    """
    if odd := _ODD.search(text):
        raise line.refuse(
            f"there is the character U+{ord(odd[0]):04X}, which is not seen", remedy="write a plain space"
        )
    return text
