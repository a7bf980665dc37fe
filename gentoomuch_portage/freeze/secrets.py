# SPDX-License-Identifier: GPL-2.0-or-later
"""Find private keys, passwords and tokens in the files of a profile, and redact them.

Secrets with a certain form (a private key, user:password@ in a URL, tokens of known services) are found in every
file. Values of names like PASSWORD are found only in files that Portage reads as settings: in a patch,
``password = ask();`` is program code.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gentoomuch_portage.freeze.archive import Member

REDACTED = b"REDACTED"
_PASSES = 4
"""Passes of redaction: a pattern may first match what precedes the secret, as in ``Bearer SECRET``."""

_FILES = re.compile(r"(^|/)(secring\.gpg|private-keys-v1\.d/.*|id_(rsa|dsa|ecdsa|ed25519)|netrc|[^/]+\.(p12|pfx|jks))$")
"""Names of files that contain nothing but secrets, some of them binary."""
_BLOCK = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*-----|\Z)", re.S)
_VALUE = rb"""(?!REDACTED|\$[{(\w])(?P<secret>[^\s"'\\;,&#<>|)]+)"""
_QUOTED = rb"""\\?["']?"""
_CERTAIN = (
    ("a private key of GnuPG", re.compile(rb"(?P<secret>\((?:\d+:)?(?:protected-|openpgp-)?private-key.*)", re.S)),
    ("a key of age", re.compile(rb"(?P<secret>AGE-SECRET-KEY-1[0-9A-Z]+)")),
    ("a key of PuTTY", re.compile(rb"(?P<secret>PuTTY-User-Key-File-\d.*)", re.S)),
    (
        "a password in a URL",
        re.compile(rb"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/@:\"'<>]*:(?!REDACTED@|\$)(?P<secret>[^\s/\"'<>]+)@"),
    ),
    (
        "a token in a URL",
        re.compile(rb"\b(?:https?|ftps?)://(?!REDACTED@|\$)(?P<secret>[^\s/@:\"'<>]+):?@"),
    ),
    (
        "a token",
        re.compile(
            rb"\b(?P<secret>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,}"
            rb"|A[KS]IA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{32,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)"
        ),
    ),
)
_SECRET_NAMES = (
    rb"(?:password|passwd|passphrase|secret(?:[_-]?key)?|token|credential|(?<!by)(?<!com)pass|pw"
    rb"|(?<![A-Z])(?:passcode|pwd|auth|api[_-]?key|access[_-]?key|private[_-]?key))s?"
)
_VALUE_IN_SHELL = (
    rb'''"(?!REDACTED|\$[{(\w])(?P<double>(?:[^"\\\n]|\\.)+)"'''
    rb"""|'(?!REDACTED|\$\{\w+\}')(?P<single>[^'\n]+)'"""
    rb"""|\\["'](?!REDACTED|\$[{(\w])(?P<escaped>[^"'\\\n]+)"""
    rb"""|(?!REDACTED|["']|\\["']|\$)(?P<bare>[^\s"'#]+)"""
)
"""A value as bash and Portage read it: single quotes expand nothing but Portage's ``${NAME}``."""
_REFERENCES = re.compile(rb"(?i)(?:file|path|dir|sock|askpass|helper|command|cmd|private[_-]?key)$")
"""Names of settings that refer to a secret in a file or program."""
_SETTINGS = (
    (
        "a password or token",
        re.compile(
            rb"(?im)(?:^|(?<=[\s;\"']))(?P<name>[A-Z0-9_.-]*?" + _SECRET_NAMES
            + rb"(?![A-Z])[A-Z0-9_]*?)[ \t]*\+?=[ \t]*(?:"
            + _VALUE_IN_SHELL + rb")"
        ),
    ),
    (
        "a password of a fetch command",
        re.compile(
            rb"(?i)(?<!\w)--?(?:(?:http|ftp|proxy|https|ssh)-?)?"
            rb"(?:password|passwd|passphrase|pass|oauth2-bearer|private-key-data)(?:=|[ \t]+)"
            + _QUOTED + _VALUE
        ),
    ),
    (
        "a user with a password of a fetch command",
        re.compile(
            rb"(?:--user|--proxy-user"
            rb"|\b(?:curl|wget|aria2c|axel|lftp|http)\b(?:\\\n|[^\n]){0,400}?(?<![\w-])-[A-Za-z]{0,9}?[uU])"
            rb"(?:=|[ \t]*)"
            + _QUOTED
            + rb"""[^\s:"'=\x00-\x20\x7f-\xff]+:(?!REDACTED|\$)(?P<secret>[^\s"'\\\x00-\x20\x7f-\xff]+)"""
        ),
    ),
    (
        "an authorization header of a fetch command",
        re.compile(
            rb"(?i)(?:authorization|private-token|x-[\w-]{0,30}(?:api|auth|key|token)[\w-]{0,30}|job-token|cookie)"
            rb"[ \t]*:[ \t]*(?:(?:basic|bearer|token|negotiate)[ \t]+)?" + _VALUE
        ),
    ),
    (
        "a token in a query",
        re.compile(rb"(?i)[?&](?:access_token|private_token|token|api_?key|apikey|password|sig|signature)=" + _VALUE),
    ),
    ("a password of sshpass", re.compile(rb"\bsshpass[ \t]+-p[ \t]*" + _QUOTED + _VALUE)),
    ("a password of netrc", re.compile(rb"(?m)\bmachine[ \t]+\S+\s+login\s+\S+\s+password\s+" + _VALUE)),
)  # fmt: skip


class Secret(NamedTuple):
    """Where a secret was found."""

    path: str
    line: int
    """Counted from 1."""
    what: str


def find_secrets(member: Member) -> list[Secret]:
    """Find the secrets in a member, by line."""
    lines = {(member.content.count(b"\n", 0, start) + 1, what) for start, _, what in _spans(member)}
    return [Secret(member.path, line, what) for line, what in sorted(lines)]


def redact(member: Member) -> Member:
    """Replace the secrets in a member."""
    content = member.content
    for _ in range(_PASSES):
        spans = sorted(_spans(member._replace(content=content)), reverse=True)
        start = len(content) + 1
        for begin, end, _ in spans:
            if end <= start:
                content, start = content[:begin] + REDACTED + content[end:], begin
    return member._replace(content=content)


def _spans(member: Member) -> Iterator[tuple[int, int, str]]:
    """Yield begin and end of each secret, and a description."""
    if _FILES.search(member.path) and member.content != REDACTED:
        yield 0, len(member.content), "a file of secrets"
        return
    for block in _BLOCK.finditer(member.content):
        yield *block.span(), "a private key"
    of_settings = not member.path.startswith("patches/") and not member.path.startswith(
        "configroot/etc/portage/patches/"
    )
    for what, pattern in (*_CERTAIN, *(_SETTINGS if of_settings else ())):
        for match in pattern.finditer(member.content):
            which = next(name for name, value in match.groupdict().items() if name != "name" and value is not None)
            if "name" not in match.groupdict() or not _is_reference(match["name"], match[which]):
                yield *match.span(which), what


def _is_reference(name: bytes, value: bytes) -> bool:
    """Check whether a setting names the location of a secret, as PASSWORD_FILE does, or is a switch."""
    if value.lower() in {b"yes", b"no", b"true", b"false", b"y", b"n"}:
        return not re.search(rb"PASS(?:WORD|WD|PHRASE)S?$", name)
    return value.startswith((b"/", b"~/", b"./")) and bool(_REFERENCES.search(name))


def list_places(members: Iterable[Member], origins: dict[str, str]) -> list[str]:
    """List ``FILE:LINE: what`` of each secret; composed files are listed only if no source of them has it.

    Args:
        origins: path of a member -> the file that it came from.
    """
    secrets = [secret for member in members for secret in find_secrets(member)]
    in_sources = [secret for secret in secrets if not secret.path.startswith("configroot/")]
    return [f"{origins.get(secret.path, secret.path)}:{secret.line}: {secret.what}" for secret in in_sources or secrets]
