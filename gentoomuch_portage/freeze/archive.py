# SPDX-License-Identifier: GPL-2.0-or-later
"""Read and write archives: plain tar files in a canonical form, with a manifest that lists the digest of each member.

An archive that is not byte for byte in that form is rejected. One signature over the manifest covers all members.
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
from gentoomuch_portage.freeze.errors import BadArchive, cannot_freeze
from gentoomuch_portage.fs import STDIO

MAX_BYTES = 64 << 20
"""Maximum size of an archive; real ones have 20 KiB to 2 MiB. It is checked in memory before anything is written."""
MAX_MEMBERS = 20_000
_EPOCH = 315_532_800
"""1980-01-01, the time of each member: tar warns about older ones."""


class Member(NamedTuple):
    """A regular file."""

    path: str
    """Relative, with slashes; no part of it starts with a dot."""
    content: bytes
    mode: int = 0o644
    """Permission bits only."""


def pack_members(members: Iterable[Member]) -> bytes:
    """Pack members into an archive in the given order; equal members give equal bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.size, info.mode, info.mtime = len(member.content), member.mode, _EPOCH
            archive.addfile(info, io.BytesIO(member.content))
    return out.getvalue()


def unpack_members(content: bytes, name: str) -> tuple[Member, ...]:
    """Unpack the members of an archive, in order.

    Args:
        name: name of the file, for messages.

    Raises:
        BadArchive: it is not, byte by byte, what ``pack_members`` makes of these members, or it is too large.
    """

    def bad(why: str) -> BadArchive:
        return BadArchive(name, why)

    tape = _MemoryTape(content, bad)
    members = []
    for path, size in tar.read_members(tape, bad, most=MAX_MEMBERS):
        if any(part.startswith(".") for part in path.split("/")):
            raise bad(f"it contains a hidden file, {path[:60]!r}")
        header = content[tape.place - tar.BLOCK : tape.place]
        members.append(Member(path, tape.take(size), _read_mode(header, bad)))
    if pack_members(members) != content:
        raise bad("it was not written by gentoomuch freeze")
    return tuple(members)


def _read_mode(header: bytes, bad: tar.Bad) -> int:
    digits = header[100:108].strip(b" \0")
    mode = int(digits, 8) if digits and not set(digits) - set(b"01234567") else -1
    if not 0 <= mode <= 0o777:
        raise bad("it contains a file with permissions that freeze does not write")
    return mode


class _MemoryTape:
    """Bytes in memory as a tape."""

    def __init__(self, content: bytes, bad: tar.Bad) -> None:
        self.place = 0
        self._content, self._bad = content, bad

    def take(self, length: int) -> bytes:
        if self.place + length > len(self._content):
            raise self._bad("it is truncated")
        self.place += length
        return self._content[self.place - length : self.place]

    def skip(self, length: int) -> None:
        self.place += length


def read_archive(file: Path) -> bytes:
    """Read the bytes of a file, once: the checked content is the used content.

    Args:
        file: ``-`` for the standard input.

    Raises:
        BadArchive: it is not a regular file, not readable, or too large.
    """
    try:
        descriptor = os.dup(0) if file == STDIO else os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as source:
            if file != STDIO and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadArchive(str(file), "not a regular file")
            content = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadArchive(str(file), (error.strerror or "cannot read it").lower()) from error
    if len(content) > MAX_BYTES:
        raise BadArchive(str(file), f"it is larger than {MAX_BYTES >> 20} MiB")
    return content


def pack_archive(members: Iterable[Member], name: str) -> bytes:
    """Pack members into an archive that ``unpack_members`` accepts.

    Raises:
        ConfigError[cannot-freeze]: a member has an invalid name, or there are too many.
    """
    content = pack_members(members)
    try:
        if len(content) > MAX_BYTES:
            raise BadArchive(name, f"it would be larger than {MAX_BYTES >> 20} MiB")
        unpack_members(content, name)
    except BadArchive as error:
        raise cannot_freeze(f"cannot freeze {name}: {error.why}", hint="rename or remove that file") from error
    return content


NAME, SIGNATURE, KEY = "manifest.json", "manifest.json.sig", "key.asc"
_FORMAT = 1
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|")
SINGLE = frozenset(
    {"profile.toml", "facts.json", "repositories.json", "binhosts.json", "unmask.json", "world", "world_sets", KEY}
)
"""Members outside of directories."""
NAMED_DIRECTORIES = frozenset({"layers", "patches"})
"""Directories whose subdirectories have names: ``layers/NAME/...``."""
PLAIN_DIRECTORIES = frozenset({"keys", "configroot"})
"""Directories with files below."""


class Manifest(NamedTuple):
    """A complete archive."""

    profile: str
    """Name of the frozen profile."""
    key: str
    """Fingerprint of the key that should have signed it; empty if it is unsigned."""
    digest: str
    """SHA-256 of the manifest, which identifies the content of the archive."""
    members: dict[str, Member]
    """Path -> member, without manifest and signature."""


def make_manifest(profile: str, key: str, members: Iterable[Member]) -> Member:
    """Make the manifest of members.

    Args:
        key: fingerprint; empty if it will not be signed.
    """
    entries = [
        {
            "path": member.path,
            "mode": f"{member.mode:04o}",
            "size": len(member.content),
            "sha256": _digest(member.content),
        }
        for member in sorted(members)
    ]
    return Member(NAME, _to_json({"format": _FORMAT, "profile": profile, "key": key, "members": entries}))


def check_manifest(members: Sequence[Member], name: str) -> Manifest:
    """Compare the members of an archive with its manifest, which comes first; the signature is not verified here.

    Raises:
        BadArchive: a member is missing, altered or not listed, or has a name that freeze does not write.
    """
    if not members or members[0].path != NAME:
        raise BadArchive(name, "it does not begin with a manifest")
    manifest = _parse_manifest(members[0].content, name)
    rest = [member for member in members[1:] if member.path != SIGNATURE]
    expected = [NAME, *([SIGNATURE] if manifest["key"] else []), *sorted(member.path for member in rest)]
    if [member.path for member in members] != expected:
        raise BadArchive(name, "its members differ from the list in its manifest")
    if make_manifest(manifest["profile"], manifest["key"], rest).content != members[0].content:
        raise BadArchive(name, _find_altered(manifest, rest))
    by_path = {member.path: member for member in rest}
    _check_paths(by_path, name)
    if manifest["key"] and KEY not in by_path:
        raise BadArchive(name, "the key that signed it is missing")
    return Manifest(manifest["profile"], manifest["key"], _digest(members[0].content), by_path)


def _parse_manifest(content: bytes, name: str) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
        if manifest["format"] != _FORMAT:
            raise BadArchive(name, f"it has format {manifest['format']!r}, but this version reads {_FORMAT}")
        valid(manifest["profile"], "profile")
        if not _FINGERPRINT.fullmatch(manifest["key"]) or not isinstance(manifest["members"], list):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise BadArchive(name, "its manifest is invalid") from error
    return dict(manifest)


def _find_altered(manifest: dict[str, Any], rest: Iterable[Member]) -> str:
    """Describe the first member that differs from the manifest."""
    listed = {str(row.get("path")): row.get("sha256") for row in manifest["members"] if isinstance(row, dict)}
    digests = {member.path: _digest(member.content) for member in rest}
    for path in sorted(listed.keys() | digests.keys()):
        if listed.get(path) != digests.get(path):
            fact = "is missing" if path not in digests else "is not listed" if path not in listed else "was altered"
            return f"{path[:80]!r} {fact}"
    return "its manifest was not written by gentoomuch freeze"


def _check_paths(members: dict[str, Member], name: str) -> None:
    """Reject names outside of the known directories, and files below files."""
    for path in members:
        top, *below = path.split("/")
        try:
            known = (
                (path in SINGLE)
                or (top in PLAIN_DIRECTORIES and bool(below))
                or (top in NAMED_DIRECTORIES and len(below) > 1)
            )
            if top in NAMED_DIRECTORIES and known:
                valid(below[0], top)
        except ConfigError:
            known = False
        if not known:
            raise BadArchive(name, f"it contains {path[:80]!r}, which is not part of a profile")
        parts = path.split("/")
        if any("/".join(parts[:end]) in members for end in range(1, len(parts))):
            raise BadArchive(name, f"it contains {path[:80]!r} below a file")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _to_json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
