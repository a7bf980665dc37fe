"""The archive as bytes: a plain tar with one way to be written, so that whatever is written otherwise is refused.

What an archive says of itself: each member with its digest, so that one signature covers all.
"""

import hashlib
import io
import json
import os
import re
import stat
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.binpkg import tar
from gentoomuch_portage.config.profile import valid
from gentoomuch_portage.errors import ConfigError
from gentoomuch_portage.freeze.errors import BadArchive, CannotFreeze
from gentoomuch_portage.fs import STDIO

MOST_BYTES = 64 << 20
"""Of an archive; real ones have 20 KiB to 2 MiB. It is held in memory, and checked before anything is written."""
MOST_MEMBERS = 20_000
_EPOCH = 315_532_800
"""1980-01-01, of each member: tar warns of older ones."""


class Member(NamedTuple):
    """A plain file."""

    path: str
    """Relative, with slashes; no part of it begins with a dot."""
    content: bytes
    mode: int = 0o644
    """Permissions alone."""


def packed(members: Iterable[Member]) -> bytes:
    """The archive of members, in the order given; the same bytes for the same members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for one in members:
            info = tarfile.TarInfo(one.path)
            info.size, info.mode, info.mtime = len(one.content), one.mode, _EPOCH
            archive.addfile(info, io.BytesIO(one.content))
    return out.getvalue()


def unpacked(content: bytes, name: str) -> tuple[Member, ...]:
    """The members of an archive, in order.

    Args:
        name: of the file, for messages.

    Raises:
        BadArchive: it is not, byte by byte, what ``packed`` makes of these members; or it is too large.
    """

    def bad(why: str) -> BadArchive:
        return BadArchive(name, why)

    reel = _Reel(content, bad)
    found = []
    for path, size in tar.members(reel, bad, most=MOST_MEMBERS):
        if any(part.startswith(".") for part in path.split("/")):
            raise bad(f"it holds a hidden file, {path[:60]!r}")
        header = content[reel.place - tar.BLOCK : reel.place]
        found.append(Member(path, reel.take(size), _mode(header, bad)))
    if packed(found) != content:
        raise bad("it is not written as gentoomuch freeze writes it")
    return tuple(found)


def _mode(header: bytes, bad: tar.Bad) -> int:
    told = header[100:108].strip(b" \0")
    mode = int(told, 8) if told and not set(told) - set(b"01234567") else -1
    if not 0 <= mode <= 0o777:
        raise bad("it holds a file with permissions that freeze does not write")
    return mode


class _Reel:
    """Bytes in memory as a tape."""

    def __init__(self, content: bytes, bad: tar.Bad) -> None:
        self.place = 0
        self._content, self._bad = content, bad

    def take(self, length: int) -> bytes:
        if self.place + length > len(self._content):
            raise self._bad("it is cut off")
        self.place += length
        return self._content[self.place - length : self.place]

    def skip(self, length: int) -> None:
        self.place += length


def read(file: Path) -> bytes:
    """The bytes of a file, once: what is checked is what is used.

    Args:
        file: ``-`` is the standard input.

    Raises:
        BadArchive: it is no plain file, not readable, or too large.
    """
    try:
        number = os.dup(0) if file == STDIO else os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as source:
            if file != STDIO and not stat.S_ISREG(os.fstat(number).st_mode):
                raise BadArchive(str(file), "it is no plain file")
            content = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadArchive(str(file), (error.strerror or "it cannot be read").lower()) from error
    if len(content) > MOST_BYTES:
        raise BadArchive(str(file), f"it is larger than {MOST_BYTES >> 20} MiB")
    return content


def written(members: Iterable[Member], name: str) -> bytes:
    """The archive of members that ``unpacked`` will take.

    Raises:
        CannotFreeze: one has a name that will not be taken, or there are too many.
    """
    content = packed(members)
    try:
        if len(content) > MOST_BYTES:
            raise BadArchive(name, f"it would be larger than {MOST_BYTES >> 20} MiB")
        unpacked(content, name)
    except BadArchive as error:
        raise CannotFreeze(f"{name} cannot be frozen: {error.why}", remedy="rename or remove that file") from error
    return content


NAME, SIGNATURE, KEY = "manifest.json", "manifest.json.sig", "key.asc"
_FORMAT = 1
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|")
SINGLE = frozenset(
    {"profile.toml", "facts.json", "repositories.json", "binhosts.json", "unmask.json", "world", "world_sets", KEY}
)
"""Members besides those in folders."""
NAMED = frozenset({"layers", "patches"})
"""Folders whose folders have names: ``layers/NAME/...``."""
PLAIN = frozenset({"keys", "configroot"})
"""Folders with files below."""


class Manifest(NamedTuple):
    """An archive that is whole."""

    profile: str
    """The name it was frozen by."""
    key: str
    """Fingerprint of the key that is said to have signed it; empty where it is unsigned."""
    digest: str
    """SHA-256 of the manifest: the name of the archive's content."""
    members: dict[str, Member]
    """Path -> member, without manifest and signature."""


def made(profile: str, key: str, members: Iterable[Member]) -> Member:
    """The manifest of members.

    Args:
        key: fingerprint; empty where it will not be signed.
    """
    listed = [
        {"path": one.path, "mode": f"{one.mode:04o}", "size": len(one.content), "sha256": _digest(one.content)}
        for one in sorted(members)
    ]
    return Member(NAME, _text({"format": _FORMAT, "profile": profile, "key": key, "members": listed}))


def checked(found: Sequence[Member], name: str) -> Manifest:
    """Hold the members of an archive against its manifest, which comes first; its signature is not looked at.

    Raises:
        BadArchive: one is missing, altered, or not listed, or has a name that freeze does not write.
    """
    if not found or found[0].path != NAME:
        raise BadArchive(name, "it does not begin with a manifest")
    told = _parsed(found[0].content, name)
    rest = [one for one in found[1:] if one.path != SIGNATURE]
    expected = [NAME, *([SIGNATURE] if told["key"] else []), *sorted(one.path for one in rest)]
    if [one.path for one in found] != expected:
        raise BadArchive(name, "its members are not those that its manifest lists, in their order")
    if made(told["profile"], told["key"], rest).content != found[0].content:
        raise BadArchive(name, _altered(told, rest))
    members = {one.path: one for one in rest}
    _decent(members, name)
    if told["key"] and KEY not in members:
        raise BadArchive(name, "it lacks the key that it is signed with")
    return Manifest(told["profile"], told["key"], _digest(found[0].content), members)


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        told = json.loads(content)
        if told["format"] != _FORMAT:
            raise BadArchive(name, f"it is of format {told['format']!r}, and this version reads {_FORMAT}")
        valid(told["profile"], "profile")
        if not _FINGERPRINT.fullmatch(told["key"]) or not isinstance(told["members"], list):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise BadArchive(name, "its manifest is none") from error
    return dict(told)


def _altered(told: dict[str, Any], rest: Iterable[Member]) -> str:
    """Which member is not as the manifest says; the first one."""
    listed = {str(one.get("path")): one.get("sha256") for one in told["members"] if isinstance(one, dict)}
    held = {one.path: _digest(one.content) for one in rest}
    for path in sorted(listed.keys() | held.keys()):
        if listed.get(path) != held.get(path):
            fact = "is missing" if path not in held else "is not listed" if path not in listed else "was altered"
            return f"{path[:80]!r} {fact}"
    return "its manifest is not written as gentoomuch freeze writes it"


def _decent(members: dict[str, Member], name: str) -> None:
    """Refuse names outside of the known folders, and files that would lie in files."""
    for path in members:
        top, *below = path.split("/")
        try:
            known = (path in SINGLE) or (top in PLAIN and bool(below)) or (top in NAMED and len(below) > 1)
            if top in NAMED and known:
                valid(below[0], top)
        except ConfigError:
            known = False
        if not known:
            raise BadArchive(name, f"it holds {path[:80]!r}, which belongs to no profile")
        parts = path.split("/")
        if any("/".join(parts[:end]) in members for end in range(1, len(parts))):
            raise BadArchive(name, f"it holds {path[:80]!r} below a file")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _text(told: object) -> bytes:
    return (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
