"""What a patch touches, read out of its headers; bytes in, so that any encoding will do.

Source: GNU diffutils manual, "Detailed Unified" and "Detailed Context"; git-diff(1), "Generating patch text".

The head of a patch as ``git format-patch`` writes it: author, date, subject; and the ebuild that it was made for.
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
    """Where its headers begin, from 1."""
    old: str
    """As it is written, with its prefix; empty where it is not."""
    new: str
    binary: bool = False
    """A binary diff, or the mere word that binary files differ."""
    git: bool = False
    hunks: tuple[int, ...] = ()
    """The line of each hunk."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are files."""
        return tuple(dict.fromkeys(one for one in (self.old, self.new) if one not in {"", NOWHERE}))

    def stripped(self, level: int) -> tuple[str, ...]:
        """The names without that many leading folders; those that have not so many are left out."""
        return tuple(name for one in self.names if (name := strip(one, level)))


def strip(name: str, level: int) -> str:
    """A name without some leading folders, as ``patch -p`` counts them; empty where it has not so many."""
    parts = re.split(r"/+", name)
    return "/".join(parts[level:])


def touched(content: bytes) -> tuple[Touched, ...]:
    """The files that a patch changes, in its order; none where it is no patch."""
    return tuple(_found(content.decode("utf-8", "surrogateescape").split("\n")))


@dataclass(slots=True)
class _Reading:
    """Where in a patch we are."""

    current: Touched | None = None
    old: tuple[int, str] | None = None
    """A line that may begin a header, and the name that it has."""
    left: list[int] = field(default_factory=lambda: [0, 0])
    """Lines of the old and the new file that the present hunk still has."""


def _found(lines: list[str]) -> Iterator[Touched]:
    at = _Reading()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        if at.left != [0, 0] and _in_hunk(at, line):
            continue
        fresh = _header(at, number, line)
        if fresh is not None:
            if at.current is not None:
                yield at.current
            at.current = fresh
        elif at.current is not None:
            at.current = _more(at, number, line)
    if at.current is not None:
        yield at.current


def _in_hunk(at: _Reading, line: str) -> bool:
    """Whether a line belongs to the hunk; it is counted."""
    match line[:1]:
        case " " | "":
            at.left[0] -= 1
            at.left[1] -= 1
        case "-":
            at.left[0] -= 1
        case "+":
            at.left[1] -= 1
        case "\\":
            return True
        case _:
            at.left = [0, 0]  # it ends early; patch(1) will complain
            return False
    at.left = [max(0, one) for one in at.left]
    return True


def _header(at: _Reading, number: int, line: str) -> Touched | None:
    """What a line begins, or None."""
    if line.startswith("diff --git "):
        at.old = None
        old, new = _pair(line.removeprefix("diff --git "))
        return Touched(number, old, new, git=True)
    if line.startswith("Binary files ") and line.endswith(" differ") and not (at.current and at.current.git):
        old, _, new = line.removeprefix("Binary files ").removesuffix(" differ").partition(" and ")
        return Touched(number, old, new, binary=True)
    if line.startswith(("--- ", "*** ")) and not _RANGE.match(line) and at.old is None:
        at.old = (number, _name(line[4:]))
        return None
    if line.startswith(("+++ ", "--- ")) and not _RANGE.match(line) and at.old is not None:
        begun, old = at.old
        at.old = None
        if at.current is not None and at.current.git and not at.current.hunks:
            at.current = replace(at.current, old=old, new=_name(line[4:]))
            return None
        return Touched(begun, old, _name(line[4:]))
    if at.old is not None and at.old[0] != number:
        at.old = None
    return None


def _more(at: _Reading, number: int, line: str) -> Touched:
    """The present file, with what one more line says of it."""
    found = at.current
    if found is None:
        raise AssertionError("no header was read")
    if hunk := _HUNK.match(line):
        at.left = [int(hunk[1] or 1), int(hunk[2] or 1)]
        return replace(found, hunks=(*found.hunks, number))
    if line.startswith("***************"):
        return replace(found, hunks=(*found.hunks, number))
    if found.git and not found.hunks:
        if line.startswith(("GIT binary patch", "Binary files ")):
            return replace(found, binary=True)
        if line.startswith(("rename from ", "copy from ")):
            return replace(found, old=f"a/{_name(line.split(' from ', 1)[1])}")
        if line.startswith(("rename to ", "copy to ")):
            return replace(found, new=f"b/{_name(line.split(' to ', 1)[1])}")
    return found


def _pair(text: str) -> tuple[str, str]:
    """The two names of a ``diff --git`` line; spaces in them are told apart by both being one name."""
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
    """A name of a header line, without its time, unquoted."""
    if text.startswith('"') and (quoted := re.match(r'"((?:[^"\\]|\\.)*)"', text)):
        return unquoted(quoted[1])
    return _STAMP.sub("", text.partition("\t")[0]).rstrip()


def unquoted(text: str) -> str:
    """A name that git quoted as C does."""

    def plain(found: re.Match[str]) -> str:
        sign = found[1]
        return chr(int(sign, 8)) if sign.isdigit() else _ESCAPES.get(sign, sign)

    found = re.sub(r"\\([0-7]{3}|.)", plain, text)
    try:
        return found.encode("latin-1").decode("utf-8", "surrogateescape") if re.search(r"\\[0-7]{3}", text) else found
    except UnicodeEncodeError:
        return found


_DIFFLIKE = re.compile(r"^(diff |Index:|Prereq:|--- |\+\+\+ |\*\*\* |@@ |\d+(,\d+)?[acd]\d*|---$|From )")
"""What patch(1) or git-am might take for more than words."""
_MADE_FOR = "Made for: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is said of a patch."""

    name: str
    address: str
    date: str
    """As RFC 2822 has it."""
    subject: str
    body: str
    made_for: str
    """``cat/pkg-1.0::repository``; empty where it is not known."""

    @property
    def text(self) -> str:
        """Above the diff."""
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
        """Subject and body, as a commit has them."""
        return f"{self.subject}\n\n{self.body}".rstrip() + "\n"


def _plain(text: str) -> str:
    return " ".join(text.split())


def read(content: bytes, name: str) -> Header:
    """The head of a patch; of one that has none, a subject out of its name.

    Args:
        name: of the file.
    """
    head, _, rest = content.partition(b"\n\n")
    if not re.match(rb"(From [0-9a-f]{40} |From: |Subject: |Date: )", content):
        head, rest = b"", b""
    found = BytesHeaderParser(policy=policy.compat32).parsebytes(re.sub(rb"\AFrom [^\n]*\n", b"", head) + b"\n\n")
    who, address = parseaddr(_decoded(found.get("From", "")))
    subject = re.sub(r"^(\[[^\]]*\]\s*)+", "", _plain(_decoded(found.get("Subject", ""))))
    lines = re.split(r"(?m)^(?:---$|diff |--- |\*\*\* |Index: )", rest.decode("utf-8", "replace"), maxsplit=1)[0]
    body = [line for line in lines.strip("\n").split("\n") if not line.startswith(_MADE_FOR)]
    made = next((line.removeprefix(_MADE_FOR) for line in lines.split("\n") if line.startswith(_MADE_FOR)), "")
    return Header(
        name=who or address.partition("@")[0],
        address=address,
        date=_plain(found.get("Date", "")),
        subject=subject or re.sub(r"^\d+-|\.(patch|diff)$", "", name).replace("-", " "),
        body="\n".join(body).strip("\n"),
        made_for=made,
    )


def _decoded(text: str) -> str:
    try:
        return str(make_header(decode_header(str(text))))
    except (LookupError, ValueError):
        return str(text)


def diff_of(content: bytes) -> bytes:
    """A patch without its head."""
    found = re.search(rb"(?m)^(diff --git |--- |\*\*\* |Index: )", content)
    return content[found.start() :] if found else content
