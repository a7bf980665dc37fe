"""The head of a patch as ``git format-patch`` writes it: author, date, subject; and the ebuild that it was made for."""

import re
from dataclasses import dataclass
from email import policy
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.utils import parseaddr

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
