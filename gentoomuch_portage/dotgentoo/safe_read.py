# SPDX-License-Identifier: GPL-2.0-or-later
"""Read files of an untrusted .gentoo directory: regular files only, within limits, without following links.

Each directory is opened relative to its open parent with O_NOFOLLOW, so a path cannot be replaced by a link meanwhile;
devices and FIFOs are rejected before they are read. Text is UTF-8.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config.portage_names import VCS_DIRS
from gentoomuch_portage.console import escape_unprintable
from gentoomuch_portage.errors import BadFile

MAX_FILE_SIZE = 1024 * 1024
"""Bytes per file."""
MAX_TOTAL_SIZE = 8 * 1024 * 1024
"""Bytes of all files that are read."""
MAX_ENTRIES = 2000
"""Files and directories."""
MAX_DEPTH = 8
"""Nested directories."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A file with its content."""

    name: str
    """Path below the .gentoo directory."""
    content: bytes


def display_path(top: Path, name: str) -> str:
    """Return the path of a file for messages, with escaped characters."""
    return escape_unprintable(f"{top}/{name}" if name else str(top))


def path_error(top: Path, name: str, what: str, *, hint: str = "") -> BadFile:
    """Return an error about a path below a .gentoo directory."""
    return BadFile(display_path(top, name), 0, what, code="bad-dotgentoo", hint=hint)


@dataclass(slots=True)
class Reader:
    """Reads a directory, and enforces the limits."""

    top: Path
    entries: int = 0
    bytes: int = 0

    @contextmanager
    def opened(self, name: str, above: int | None = None) -> Iterator[int]:
        """Open a directory; yields its descriptor.

        Raises:
            BadFile[bad-dotgentoo]: it is a link, not a directory, or unreadable.
        """
        at = str(self.top) if above is None else name.rpartition("/")[2]
        try:
            number = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except OSError as error:
            what = "links are not allowed"
            if not (self.top / name).is_symlink():
                what = (error.strerror or "unreadable").lower()
            shut = isinstance(error, PermissionError)
            hint = "make it readable" if shut else "replace it by a directory"
            raise path_error(self.top, name, what, hint=hint) from error
        try:
            yield number
        finally:
            os.close(number)

    def names(self, name: str, folder: int) -> list[tuple[str, os.stat_result]]:
        """List a directory, sorted by code point, without names that Portage ignores.

        Raises:
            BadFile[bad-dotgentoo]: there are too many entries.
        """
        files = []
        with os.scandir(folder) as listing:
            for entry in listing:
                self.entries += 1
                if self.entries > MAX_ENTRIES:
                    raise path_error(self.top, name, f"too many files and directories (at most {MAX_ENTRIES})")
                if not entry.name.startswith(".") and not entry.name.endswith("~"):
                    files.append((entry.name, entry.stat(follow_symlinks=False)))
        return sorted(
            (pair for pair in files if not (pair[0] in VCS_DIRS and stat.S_ISDIR(pair[1].st_mode))),
            key=lambda pair: pair[0],
        )

    def file(self, name: str, folder: int) -> Raw:
        """Read a regular file.

        Raises:
            BadFile[bad-dotgentoo]: it is a link, a device, a FIFO, too large, or unreadable.
        """
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            number = os.open(name.rpartition("/")[2], flags, dir_fd=folder)
        except OSError as error:
            raise path_error(self.top, name, (error.strerror or "unreadable").lower()) from error
        with os.fdopen(number, "rb") as file:
            seen = os.fstat(number)
            if not stat.S_ISREG(seen.st_mode):
                raise path_error(self.top, name, "not a regular file")
            content = file.read(MAX_FILE_SIZE + 1) if seen.st_size <= MAX_FILE_SIZE else b""
        if seen.st_size > MAX_FILE_SIZE or len(content) > MAX_FILE_SIZE:
            raise path_error(self.top, name, f"too large (at most {MAX_FILE_SIZE // 1024} KiB)")
        self.bytes += len(content)
        if self.bytes > MAX_TOTAL_SIZE:
            raise path_error(
                self.top, "", f"its files are too large (at most {MAX_TOTAL_SIZE // 1024 // 1024} MiB in total)"
            )
        return Raw(name, content)

    def below(self, name: str, seen: os.stat_result, folder: int, depth: int = 1) -> Iterator[Raw]:
        """Read the files at and below a name in Portage's order: by code point of each name.

        Raises:
            BadFile[bad-dotgentoo]: as ``file``; or directories are nested too deeply.
        """
        if not stat.S_ISDIR(seen.st_mode):
            if not stat.S_ISREG(seen.st_mode):
                kind = (
                    "links are not allowed" if stat.S_ISLNK(seen.st_mode) else "neither a regular file nor a directory"
                )
                raise path_error(self.top, name, kind, hint="replace it by a regular file")
            yield self.file(name, folder)
            return
        if depth > MAX_DEPTH:
            raise path_error(self.top, name, f"directories are nested too deeply (at most {MAX_DEPTH})")
        with self.opened(name, folder) as number:
            for below, its in self.names(name, number):
                yield from self.below(f"{name}/{below}", its, number, depth + 1)


_ODD = re.compile(r"[^\S \t]|[\x00-\x08\x0e-\x1f\x7f]|[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Invisible and unusual spaces, control characters, and characters that change the direction of text."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not empty and not a comment."""

    file: str
    number: int
    """Counted from 1."""
    text: str

    def error(self, what: str, *, hint: str = "") -> BadFile:
        """Return an error about this line."""
        return BadFile(self.file, self.number, what, code="bad-dotgentoo", hint=hint)

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def decode(file: str, content: bytes) -> str:
    r"""Decode UTF-8 into text whose lines all end with ``\n``.

    Raises:
        BadFile[bad-dotgentoo]: it is not UTF-8, or has a byte order mark, a carriage return or a NUL.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(
            file, content.count(b"\n", 0, error.start) + 1, "not valid UTF-8", code="bad-dotgentoo"
        ) from error
    if text.startswith("\ufeff"):
        raise BadFile(
            file, 1, "a byte order mark is not allowed", code="bad-dotgentoo", hint="save it as UTF-8 without BOM"
        )
    text = text.replace("\r\n", "\n")
    for odd, description in (("\r", "carriage return"), ("\0", "NUL")):
        if odd in text:
            raise BadFile(
                file,
                text.count("\n", 0, text.index(odd)) + 1,
                f"the character {description} is not allowed",
                code="bad-dotgentoo",
            )
    return text if text.endswith("\n") or not text else f"{text}\n"


def parse_lines(file: str, content: bytes, comments: str = "#") -> Iterator[Line]:
    """Yield the lines that are not empty and not comments, unstripped.

    Args:
        comments: characters that begin a comment.

    Raises:
        BadFile[bad-dotgentoo]: as ``decode``.
    """
    for number, text in enumerate(decode(file, content).split("\n"), 1):
        if (bare := text.strip()) and bare[0] not in comments:
            yield Line(file, number, text)


def split_words(line: Line) -> tuple[str, ...]:
    """Split a line of package.* into words; a word that begins with ``#`` begins a comment.

    Source: portage.util.grabdict.

    Raises:
        BadFile[bad-dotgentoo]: it has an ambiguous character.
    """
    names = []
    for word in re.split(r"[ \t]+", line.text.strip(" \t")):
        if word.startswith("#"):
            break
        check_plain(line, word)
        names.append(word)
    return tuple(names)


def check_plain(line: Line, text: str) -> str:
    """Check that a text has no ambiguous characters, and return it.

    Raises:
        BadFile[bad-dotgentoo]: it has an ambiguous character.
    """
    if odd := _ODD.search(text):
        raise line.error(f"invisible character U+{ord(odd[0]):04X}", hint="replace it by a space")
    return text
