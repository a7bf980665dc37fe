"""What an archive says of itself: each member with its digest, so that one signature covers all."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gentoomuch_portage.errors import ConfigError
from gentoomuch_portage.frozen.archive import Member
from gentoomuch_portage.frozen.errors import BadArchive
from gentoomuch_portage.profiles import valid

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
