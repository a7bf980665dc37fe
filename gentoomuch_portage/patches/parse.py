# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse patches: the files that they change, and their header of author, date, subject and ebuild.

Input is bytes, as a patch can have any encoding.

Source: GNU diffutils manual, "Detailed Unified" and "Detailed Context"; git-diff(1), "Generating patch text";
git-format-patch(1).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email import policy
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.utils import parseaddr

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_RANGE = re.compile(r"(\*\*\*|---) \d+(,\d+)? (\*\*\*\*|----)$")
_STAMP = re.compile(r"[ \t]+((Mon|Tue|Wed|Thu|Fri|Sat|Sun) |\d{4}-\d\d-\d\d[ T]).*$")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
NOWHERE = "/dev/null"


@dataclass(frozen=True, slots=True)
class Touched:
    """A file that a patch changes."""

    line: int
    """The first line of its header, from 1."""
    old: str
    """As in the patch, with its prefix; empty if missing."""
    new: str
    binary: bool = False
    """A binary diff, or the message that binary files differ."""
    git: bool = False
    hunks: tuple[int, ...] = ()
    """The line of each hunk."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of files, without /dev/null."""
        return tuple(dict.fromkeys(name for name in (self.old, self.new) if name not in {"", NOWHERE}))

    def strip_names(self, level: int) -> tuple[str, ...]:
        """Return the names without a number of leading directories; those with fewer are left out."""
        return tuple(filter(None, (strip(name, level) for name in self.names)))


def strip(name: str, level: int) -> str:
    """Remove leading directories from a name, as ``patch -p`` does; return an empty string if it has fewer."""
    parts = re.split(r"/+", name)
    return "/".join(parts[level:])


def find_touched(content: bytes) -> tuple[Touched, ...]:
    """Return the files that a patch changes, in order; none if it is not a patch."""
    return tuple(_parse_lines(content.decode("utf-8", "surrogateescape").split("\n")))


@dataclass(slots=True)
class _State:
    """The state of the parser."""

    current: Touched | None = None
    old: tuple[int, str] | None = None
    """A line that may begin a header, and its name."""
    left: list[int] = field(default_factory=lambda: [0, 0])
    """Remaining lines of the old and the new file in the current hunk."""


def _parse_lines(lines: list[str]) -> Iterator[Touched]:
    state = _State()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        if state.left != [0, 0] and _in_hunk(state, line):
            continue
        fresh = _header(state, number, line)
        if fresh is not None:
            if state.current is not None:
                yield state.current
            state.current = fresh
        elif state.current is not None:
            state.current = _update(state, number, line)
    if state.current is not None:
        yield state.current


def _in_hunk(state: _State, line: str) -> bool:
    """Whether a line belongs to the current hunk, whose counters are updated."""
    match line[:1]:
        case " " | "":
            state.left[0] -= 1
            state.left[1] -= 1
        case "-":
            state.left[0] -= 1
        case "+":
            state.left[1] -= 1
        case "\\":
            return True
        case _:
            state.left = [0, 0]  # it ends early; patch(1) reports this
            return False
    state.left = [max(0, count) for count in state.left]
    return True


def _header(state: _State, number: int, line: str) -> Touched | None:
    """Return the file that a line begins, or None."""
    if line.startswith("diff --git "):
        state.old = None
        old, new = _pair(line.removeprefix("diff --git "))
        return Touched(number, old, new, git=True)
    if line.startswith("Binary files ") and line.endswith(" differ") and not (state.current and state.current.git):
        old, _, new = line.removeprefix("Binary files ").removesuffix(" differ").partition(" and ")
        return Touched(number, old, new, binary=True)
    if line.startswith(("--- ", "*** ")) and not _RANGE.match(line) and state.old is None:
        state.old = (number, _name(line[4:]))
        return None
    if line.startswith(("+++ ", "--- ")) and not _RANGE.match(line) and state.old is not None:
        begun, old = state.old
        state.old = None
        if state.current is not None and state.current.git and not state.current.hunks:
            state.current = replace(state.current, old=old, new=_name(line[4:]))
            return None
        return Touched(begun, old, _name(line[4:]))
    if state.old is not None and state.old[0] != number:
        state.old = None
    return None


def _update(state: _State, number: int, line: str) -> Touched:
    """Return the current file, updated by one more line."""
    current = state.current
    if current is None:
        raise AssertionError("no header was read")
    if hunk := _HUNK.match(line):
        state.left = [int(hunk[1] or 1), int(hunk[2] or 1)]
        return replace(current, hunks=(*current.hunks, number))
    if line.startswith("***************"):
        return replace(current, hunks=(*current.hunks, number))
    if current.git and not current.hunks:
        if line.startswith(("GIT binary patch", "Binary files ")):
            return replace(current, binary=True)
        if line.startswith(("rename from ", "copy from ")):
            return replace(current, old=f"a/{_name(line.split(' from ', 1)[1])}")
        if line.startswith(("rename to ", "copy to ")):
            return replace(current, new=f"b/{_name(line.split(' to ', 1)[1])}")
    return current


def _pair(text: str) -> tuple[str, str]:
    """Split the two names of a ``diff --git`` line; if they contain spaces, both have to be equal."""
    if text.startswith('"'):
        first = re.match(r'"((?:[^"\\]|\\.)*)"', text)
        if first:
            return _name(first[0]), _name(text[first.end() :].lstrip())
    half = len(text) // 2
    if text[half : half + 1] == " " and strip(text[:half], 1) == strip(text[half + 1 :], 1):
        return text[:half], text[half + 1 :]
    old, _, new = text.partition(" ")
    return old, _name(new)


def _name(text: str) -> str:
    """Parse the name of a header line, without its time."""
    if text.startswith('"') and (quoted := re.match(r'"((?:[^"\\]|\\.)*)"', text)):
        return unquote(quoted[1])
    return _STAMP.sub("", text.partition("\t")[0]).rstrip()


def unquote(text: str) -> str:
    """Unquote a name that git has quoted like a C string."""

    def plain(match: re.Match[str]) -> str:
        sign = match[1]
        return chr(int(sign, 8)) if sign.isdigit() else _ESCAPES.get(sign, sign)

    plain_text = re.sub(r"\\([0-7]{3}|.)", plain, text)
    try:
        return (
            plain_text.encode("latin-1").decode("utf-8", "surrogateescape")
            if re.search(r"\\[0-7]{3}", text)
            else plain_text
        )
    except UnicodeEncodeError:
        return plain_text


_DIFFLIKE = re.compile(r"^(diff |Index:|Prereq:|--- |\+\+\+ |\*\*\* |@@ |\d+(,\d+)?[acd]\d*|---$|From )")
"""Lines that patch(1) or git-am might not treat as text."""
_MADE_FOR = "Made for: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of a patch."""

    name: str
    address: str
    date: str
    """In the format of RFC 2822."""
    subject: str
    body: str
    made_for: str
    """``cat/pkg-1.0::repository``; empty if unknown."""

    @property
    def text(self) -> str:
        """The text above the diff."""
        body = "\n".join(f"> {line}" if _DIFFLIKE.match(line) else line for line in self.body.strip("\n").split("\n"))
        lines = [
            f"From {'0' * 40} Mon Sep 17 00:00:00 2001",
            f"From: {_plain(self.name)} <{_plain(self.address)}>",
            f"Date: {_plain(self.date)}",
            f"Subject: [PATCH] {_plain(self.subject)}",
            "",
            *([body, ""] if body else []),
            f"{_MADE_FOR}{self.made_for}",
            "---",
        ]
        return "\n".join(lines) + "\n"

    @property
    def message(self) -> str:
        """Subject and body, as a commit message."""
        return f"{self.subject}\n\n{self.body}".rstrip() + "\n"


def _plain(text: str) -> str:
    return " ".join(text.split())


def parse_header(content: bytes, name: str) -> Header:
    """Parse the header of a patch; without one, derive a subject from its name.

    Args:
        name: of the file.
    """
    head, _, rest = content.partition(b"\n\n")
    if not re.match(rb"(From [0-9a-f]{40} |From: |Subject: |Date: )", content):
        head, rest = b"", b""
    header = BytesHeaderParser(policy=policy.compat32).parsebytes(re.sub(rb"\AFrom [^\n]*\n", b"", head) + b"\n\n")
    who, address = parseaddr(_decode(header.get("From", "")))
    subject = re.sub(r"^(\[[^\]]*\]\s*)+", "", _plain(_decode(header.get("Subject", ""))))
    lines = re.split(r"(?m)^(?:---$|diff |--- |\*\*\* |Index: )", rest.decode("utf-8", "replace"), maxsplit=1)[0]
    body = [line for line in lines.strip("\n").split("\n") if not line.startswith(_MADE_FOR)]
    made = next((line.removeprefix(_MADE_FOR) for line in lines.split("\n") if line.startswith(_MADE_FOR)), "")
    return Header(
        name=who or address.partition("@")[0],
        address=address,
        date=_plain(header.get("Date", "")),
        subject=subject or re.sub(r"^\d+-|\.(patch|diff)$", "", name).replace("-", " "),
        body="\n".join(body).strip("\n"),
        made_for=made,
    )


def _decode(text: str) -> str:
    try:
        return str(make_header(decode_header(str(text))))
    except (LookupError, ValueError):
        return str(text)


def diff_of(content: bytes) -> bytes:
    """Return a patch without its header."""
    match = re.search(rb"(?m)^(diff --git |--- |\*\*\* |Index: )", content)
    return content[match.start() :] if match else content
