# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse and format an entry of an index: lines ``KEY: value`` and an empty line, as bytes."""

import re
from collections.abc import Iterator, Mapping

from gentoomuch_portage.errors import RunError

OURS = b"GM_"
"""Prefix of keys that Portage does not have; only shards have them, after those of Portage."""
_DIGITS = 18
_CPV = re.compile(rb"(?:^|\n)CPV: ([^\n]*)\n")
_PATH = re.compile(rb"(?:^|\n)PATH: ([^\n]*)\n")
_NAME = re.compile(rb"([\w+][\w+.-]*/[\w+-]+)-\d+(?:\.\d+)*[a-z]?(?:_(?:pre|p|beta|alpha|rc)\d*)*(?:-r\d+)?")


class BadIndex(RunError):
    """An index (file ``Packages``) is damaged, or was not written by Portage."""

    code = "bad-index"

    def __init__(self, where: str, why: str, *, hint: str = "gentoomuch binhost index") -> None:
        super().__init__(f"{where}: {why}", hint=hint)
        self.where, self.why = where, why


def fields(stanza: bytes) -> dict[str, str]:
    """Return key -> value of an entry, without Portage's defaults."""
    lines = (line.partition(": ") for line in stanza.decode("utf-8", "replace").split("\n") if line)
    return {key.rstrip(":"): value for key, _, value in lines}


def number(values: Mapping[str, str], key: str) -> int:
    """Return the value of a key as a number; 0 if it is not a number that is valid as a time or size."""
    text = values.get(key) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0


def cpv(stanza: bytes) -> bytes:
    """Return the value of ``CPV``.

    Raises:
        BadIndex: the entry has none.
    """
    match = _CPV.search(stanza)
    if match is None:
        raise BadIndex("Packages", f"an entry without CPV: {stanza[:60]!r}")
    return match[1]


def path(stanza: bytes) -> str:
    """Return the path of the package in its directory. Source: binarytree._populate_local, without PATH."""
    match = _PATH.search(stanza)
    return (match[1] if match and match[1] else cpv(stanza) + b".tbz2").decode("utf-8", "replace")


def name(cpv: bytes) -> str:
    """Return ``cat/pkg`` of a cpv.

    Raises:
        BadIndex: it has no version. Source: PMS, "Package names" and "Version specifications".
    """
    match = _NAME.fullmatch(cpv)
    if match is None:
        raise BadIndex("Packages", f"{cpv.decode('utf-8', 'replace')!r} has no version")
    return match[1].decode()


def each(body: bytes) -> Iterator[bytes]:
    """Yield the entries of a body, each with its empty line."""
    return (text + b"\n\n" for text in body.split(b"\n\n") if text.strip())


def plain(stanza: bytes) -> bytes:
    """Return an entry as in ``Packages``: without our keys."""
    at = stanza.find(b"\n" + OURS)
    return stanza if at < 0 else stanza[: at + 1] + b"\n"


def ours(stanza: bytes) -> bytes:
    """Return the lines of our keys."""
    at = stanza.find(b"\n" + OURS)
    return b"" if at < 0 else stanza[at + 1 : -1]


def with_ours(stanza: bytes, lines: bytes) -> bytes:
    """Return an entry of ``Packages`` as in a shard."""
    return plain(stanza)[:-1] + lines + b"\n"


def format_metadata(metadata: Mapping[str, str]) -> bytes:
    """Format metadata of a package as lines of our keys.

    Args:
        metadata: name of a file of metadata -> text.
    """
    named = {(key if key.startswith("GM_") else f"GM_{key}"): value for key, value in metadata.items() if value}
    return "".join(f"{key}: {_one_line(value)}\n" for key, value in sorted(named.items())).encode()


def parse_metadata(stanza: bytes) -> dict[str, str]:
    """Return the metadata that ``format_metadata`` wrote."""
    values = {key: _lines(value) for key, value in fields(ours(stanza) + b"\n").items()}
    return {key if key in _RECORDS else key.removeprefix("GM_"): value for key, value in values.items()}


_RECORDS = frozenset({"GM_REQUIRES", "GM_PATCHES", "GM_DOTGENTOO", "GM_PROFILE"})
"""Files of metadata whose names have our prefix."""


def _one_line(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")


def _lines(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), value)
