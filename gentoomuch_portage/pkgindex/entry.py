"""One entry of an index: lines ``KEY: value`` and an empty line, as bytes, the way they lie in ``Packages``."""

import re
from collections.abc import Iterator, Mapping

from gentoomuch_portage.errors import RunError

OURS = b"GM_"
"""How the keys begin that Portage does not know; they stand in shards alone, behind Portage's own."""
_DIGITS = 18
_CPV = re.compile(rb"(?:^|\n)CPV: ([^\n]*)\n")
_PATH = re.compile(rb"(?:^|\n)PATH: ([^\n]*)\n")
_NAME = re.compile(rb"([\w+][\w+.-]*/[\w+-]+)-\d+(?:\.\d+)*[a-z]?(?:_(?:pre|p|beta|alpha|rc)\d*)*(?:-r\d+)?")


class BadIndex(RunError):
    """An index that cannot be what Portage wrote."""

    code = "bad-index"

    def __init__(self, where: str, why: str, *, remedy: str = "gentoomuch binhost index") -> None:
        super().__init__(f"{where}: {why}", remedy=remedy)
        self.where, self.why = where, why


def fields(stanza: bytes) -> dict[str, str]:
    """Key -> value, as the entry has them; Portage's defaults are not filled in."""
    lines = (line.partition(": ") for line in stanza.decode("utf-8", "replace").split("\n") if line)
    return {key.rstrip(":"): value for key, _, value in lines}


def number(told: Mapping[str, str], key: str) -> int:
    """What a key says; 0 where that is no number, or none that a time or a size can be."""
    text = told.get(key) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0


def cpv(stanza: bytes) -> bytes:
    """What ``CPV`` says.

    Raises:
        BadIndex: nothing.
    """
    found = _CPV.search(stanza)
    if found is None:
        raise BadIndex("Packages", f"an entry without CPV: {stanza[:60]!r}")
    return found[1]


def path(stanza: bytes) -> str:
    """Where the package lies below its folder. Source: binarytree._populate_local, for an entry without PATH."""
    found = _PATH.search(stanza)
    return (found[1] if found and found[1] else cpv(stanza) + b".tbz2").decode("utf-8", "replace")


def name(cpv: bytes) -> str:
    """``cat/pkg`` of a cpv.

    Raises:
        BadIndex: it has no version. Source: PMS, "Package names" and "Version specifications".
    """
    found = _NAME.fullmatch(cpv)
    if found is None:
        raise BadIndex("Packages", f"{cpv.decode('utf-8', 'replace')!r} has no version")
    return found[1].decode()


def each(body: bytes) -> Iterator[bytes]:
    """The entries of a body, each with the empty line behind it."""
    return (one + b"\n\n" for one in body.split(b"\n\n") if one.strip())


def plain(stanza: bytes) -> bytes:
    """An entry as it stands in ``Packages``: without our keys."""
    at = stanza.find(b"\n" + OURS)
    return stanza if at < 0 else stanza[: at + 1] + b"\n"


def ours(stanza: bytes) -> bytes:
    """The lines of our keys."""
    at = stanza.find(b"\n" + OURS)
    return b"" if at < 0 else stanza[at + 1 : -1]


def with_ours(stanza: bytes, lines: bytes) -> bytes:
    """An entry of ``Packages`` as it stands in a shard."""
    return plain(stanza)[:-1] + lines + b"\n"


def lines(told: Mapping[str, str]) -> bytes:
    """What a package tells, as lines of our keys: file of its metadata -> text."""
    named = {(key if key.startswith("GM_") else f"GM_{key}"): value for key, value in told.items() if value}
    return "".join(f"{key}: {_one_line(value)}\n" for key, value in sorted(named.items())).encode()


def told(stanza: bytes) -> dict[str, str]:
    """What ``lines`` were made of; CFLAGS and its like under the names that they have in a package."""
    found = {key: _lines(value) for key, value in fields(ours(stanza) + b"\n").items()}
    return {key if key in _RECORDS else key.removeprefix("GM_"): value for key, value in found.items()}


_RECORDS = frozenset({"GM_REQUIRES", "GM_PATCHES", "GM_DOTGENTOO", "GM_PROFILE"})
"""Files of metadata that have our prefix themselves."""


def _one_line(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")


def _lines(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), value)
