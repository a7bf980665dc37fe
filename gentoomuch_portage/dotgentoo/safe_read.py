"""Bytes of a .gentoo folder: plain files alone, within limits, no link followed, nothing unknown opened.

A stranger wrote the folder. Every directory is opened below the one above it without following links, so nothing can
be swapped meanwhile for a link that leads elsewhere; a device or a fifo is refused before it is read.

Text of a .gentoo folder: UTF-8, in lines, and the words of a line without comments.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.errors import BadFolder

LARGEST = 1024 * 1024
"""Bytes of one file."""
ALL = 8 * 1024 * 1024
"""Bytes of all files that are read."""
ENTRIES = 2000
"""Files and directories that are looked at."""
DEEPEST = 8
"""Directories below each other."""
TOOLS = frozenset({"CVS", "RCS", "SCCS"})
"""Directories that Portage passes over, besides those with a dot. Source: portage.const.VCS_DIRS."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A file as it was read."""

    name: str
    """Path below the folder."""
    content: bytes


def place(top: Path, name: str) -> str:
    """The path of a file below a folder, as it may be shown."""
    return visible(f"{top}/{name}" if name else str(top))


def visible(text: str) -> str:
    """A text of a stranger as it may be shown: whatever it holds, a terminal sees plain signs."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def about(top: Path, name: str, what: str, *, remedy: str = "") -> BadFolder:
    """An error about a path below a folder."""
    return BadFolder(place(top, name), 0, what, remedy=remedy)


@dataclass(slots=True)
class Reader:
    """Reads one folder, and counts."""

    top: Path
    entries: int = 0
    bytes: int = 0

    @contextmanager
    def opened(self, name: str, above: int | None = None) -> Iterator[int]:
        """A descriptor of a directory.

        Raises:
            BadFolder: it is a link, or no directory, or cannot be read.
        """
        at = str(self.top) if above is None else name.rpartition("/")[2]
        try:
            number = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except OSError as error:
            what = "it is a link" if (self.top / name).is_symlink() else (error.strerror or "it cannot be read").lower()
            shut = isinstance(error, PermissionError)
            remedy = "open it for reading" if shut else "put the directory itself there"
            raise about(self.top, name, what, remedy=remedy) from error
        try:
            yield number
        finally:
            os.close(number)

    def names(self, name: str, folder: int) -> list[tuple[str, os.stat_result]]:
        """What a directory holds, sorted by code point, without what Portage passes over.

        Raises:
            BadFolder: there are too many.
        """
        found = []
        with os.scandir(folder) as listing:
            for entry in listing:
                self.entries += 1
                if self.entries > ENTRIES:
                    raise about(self.top, name, f"there are more than {ENTRIES} files and directories")
                if not entry.name.startswith(".") and not entry.name.endswith("~"):
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
        return sorted(
            (pair for pair in found if not (pair[0] in TOOLS and stat.S_ISDIR(pair[1].st_mode))),
            key=lambda pair: pair[0],
        )

    def file(self, name: str, folder: int) -> Raw:
        """Read a plain file.

        Raises:
            BadFolder: it is a link, a device, a fifo, too large, or cannot be read.
        """
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            number = os.open(name.rpartition("/")[2], flags, dir_fd=folder)
        except OSError as error:
            raise about(self.top, name, (error.strerror or "it cannot be read").lower()) from error
        with os.fdopen(number, "rb") as file:
            seen = os.fstat(number)
            if not stat.S_ISREG(seen.st_mode):
                raise about(self.top, name, "it is no plain file")
            content = file.read(LARGEST + 1) if seen.st_size <= LARGEST else b""
        if seen.st_size > LARGEST or len(content) > LARGEST:
            raise about(self.top, name, f"it is larger than {LARGEST // 1024} KiB")
        self.bytes += len(content)
        if self.bytes > ALL:
            raise about(self.top, "", f"its files are larger than {ALL // 1024 // 1024} MiB together")
        return Raw(name, content)

    def below(self, name: str, seen: os.stat_result, folder: int, depth: int = 1) -> Iterator[Raw]:
        """The files at and below a name, in the order of Portage: by code point, directories where their name stands.

        Raises:
            BadFolder: as ``file``; or directories are too deep.
        """
        if not stat.S_ISDIR(seen.st_mode):
            if not stat.S_ISREG(seen.st_mode):
                kind = "a link" if stat.S_ISLNK(seen.st_mode) else "neither a plain file nor a directory"
                raise about(self.top, name, f"it is {kind}", remedy="put a plain file there")
            yield self.file(name, folder)
            return
        if depth > DEEPEST:
            raise about(self.top, name, f"there are more than {DEEPEST} directories below each other")
        with self.opened(name, folder) as number:
            for below, its in self.names(name, number):
                yield from self.below(f"{name}/{below}", its, number, depth + 1)


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
