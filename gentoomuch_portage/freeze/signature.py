"""The signature over a manifest, by the key that this machine signs binary packages with.

Its date is that of the key, not of the day: equal input gives equal bytes.

A detached signature as bytes that can be written in one way only.

Part of an OpenPGP signature is signed by nobody, and gpg takes whatever stands there: the key's number, two octets of
the digest, further packets. An archive whose bytes were changed is refused, so these are held to what they must be.

Source: RFC 4880, 4.2 (packets) and 5.2.3, 5.2.4 (version 4 signatures).
"""

import hashlib
import tempfile
import time
from pathlib import Path

from gentoomuch_portage import console, fs, gpg
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import archive
from gentoomuch_portage.freeze.archive import Manifest, Member
from gentoomuch_portage.freeze.errors import BadArchive, CannotFreeze, SignerUnknown, Unsigned
from gentoomuch_portage.gpg import BadKey

_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
_ISSUER = b"\x09\x10"
"""A subpacket of nine octets, of the type "issuer"."""


def plain(signature: bytes, content: bytes, fingerprint: str) -> bool:
    """Whether it is one version 4 signature of a document, with no room for anything else.

    That it is a good one is for gpg to say.

    Args:
        content: what it signs.
        fingerprint: of the main key, which must be the one that signs.
    """
    octets = {0x88: 1, 0x89: 2}.get(signature[0] if signature else 0, 0)
    body = signature[1 + octets :]
    if not octets or int.from_bytes(signature[1 : 1 + octets], "big") != len(body) or body[:2] != b"\x04\x00":
        return False
    ends = 6 + int.from_bytes(body[4:6], "big")
    unsigned = _ISSUER + bytes.fromhex(fingerprint)[-8:]
    rest = len(unsigned).to_bytes(2, "big") + unsigned
    hashed = body[:ends]
    if len(hashed) < ends or body[3] not in _HASHES or body[ends : ends + len(rest)] != rest:
        return False
    digest = hashlib.new(_HASHES[body[3]], content + hashed + b"\x04\xff" + ends.to_bytes(4, "big")).digest()
    at = ends + len(rest)
    return body[at : at + 2] == digest[:2]


def sealed(profile: str, members: list[Member], key: keys.Key | None) -> list[Member]:
    """Members with their manifest before them, signed where there is a key.

    Raises:
        MissingProgram, ProgramFailed: gpg is not here, or fails.
    """
    if key is None:
        return [archive.made(profile, "", members), *sorted(members)]
    members = sorted([*members, Member(archive.KEY, key.public.read_bytes())])
    listed = archive.made(profile, key.fingerprint, members)
    return [listed, Member(archive.SIGNATURE, _signature(key, listed.content)), *members]


def _signature(key: keys.Key, content: bytes) -> bytes:
    with tempfile.TemporaryDirectory(prefix="gm-seal-") as folder, fs.locked(key.lock):
        file, signature = Path(folder) / "manifest", Path(folder) / "sig"
        file.write_bytes(content)
        when = born(key)
        while time.time() < when + 1:
            # gpg takes a faked time that is the real one for none, and its clock goes on: gnupg_set_time in gettime.c
            time.sleep(0.05)
        date = ["--ignore-time-conflict", "--faked-system-time", f"{when}!"]
        words = ["--local-user", key.fingerprint, "--output", str(signature), "--detach-sign", str(file)]
        gpg.gpg(key.home, *date, *words)
        found = signature.read_bytes()
    if not plain(found, content, key.fingerprint):
        raise CannotFreeze(f"gpg signs with {key.fingerprint} in a form that thaw would refuse", remedy="--unsigned")
    return found


def born(key: keys.Key) -> int:
    """When a key was made, in seconds since 1970. Source: GnuPG, doc/DETAILS, field 6."""
    told = gpg.gpg(key.home, "--list-keys", "--with-colons", key.fingerprint).out
    return next(int(fields[5]) for line in told.splitlines() if (fields := line.split(":"))[0] == "pub")


def check(found: Manifest, signed: tuple[Member, ...], name: str) -> None:
    """Verify the signature of an archive that says it is signed; whose it is, is asked by ``agree``.

    Args:
        signed: manifest and signature.

    Raises:
        BadArchive: it is not good, or not of the key that the manifest names.
    """
    content, signature = signed[0].content, signed[1].content
    if not plain(signature, content, found.key):
        raise BadArchive(name, "its signature is not good")
    with tempfile.TemporaryDirectory(prefix="gm-seal-") as made:
        home = Path(made) / "home"
        for file, bytes_ in (
            ("manifest", content),
            ("sig", signature),
            ("key.asc", found.members[archive.KEY].content),
        ):
            (Path(made) / file).write_bytes(bytes_)
        try:
            known = gpg.trusting(home, [Path(made) / "key.asc"])
            by = gpg.signer(home, Path(made) / "manifest", Path(made) / "sig") if known == [found.key] else ""
        except BadKey as error:
            raise BadArchive(name, "the key in it is none, or no longer valid") from error
    if by != found.key:
        raise BadArchive(name, "its signature is not good")


def agree(settings: Settings, found: Manifest, name: str, *, asked: str, unsigned: bool, known: frozenset[str]) -> None:
    """See to it that somebody answers for an archive: a key that is known here, was named, or is confirmed now.

    Args:
        asked: a fingerprint, or a file with the key; empty where none was named.
        unsigned: take one that is not signed.
        known: fingerprints that were agreed to before.

    Raises:
        Unsigned, SignerUnknown: nobody does.
    """
    if not found.key:
        if asked or not unsigned:
            raise Unsigned(name)
        return
    if asked:
        wanted = gpg.plain(asked) or _of_file(Path(asked))
        if wanted != found.key:
            raise SignerUnknown(name, found.key, wanted)
        return
    own = keys.known(settings)
    if found.key in known or (own is not None and found.key in {own.fingerprint, *gpg.shown(own.every)}):
        return
    question = f"{name} is signed by\n    {gpg.spaced(found.key)}\nIs that what binhost key says there?"
    if not console.agreed(question):
        raise SignerUnknown(name, found.key)


def _of_file(file: Path) -> str:
    """The fingerprint of the one key in a file.

    Raises:
        BadKey: there is none, or several.
    """
    with tempfile.TemporaryDirectory(prefix="gm-seal-") as made:
        found = gpg.trusting(Path(made) / "home", [file])
    if len(found) != 1:
        raise BadKey(str(file), f"it holds {len(found)} keys instead of one")
    return found[0]
