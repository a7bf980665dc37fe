# SPDX-License-Identifier: GPL-2.0-or-later
"""Sign and verify archives, with the key that this machine signs binary packages with.

The signature has the date of the key, not of the day: equal input gives equal bytes.

Parts of an OpenPGP signature are not signed, and gpg accepts any content there: the key's number, two octets of
the digest, further packets. An archive with changed bytes must be rejected, so these parts are checked as well.

Source: RFC 4880, 4.2 (packets) and 5.2.3, 5.2.4 (version 4 signatures).
"""

import hashlib
import tempfile
import time
from pathlib import Path

from gentoomuch_portage import console, fs, gpg
from gentoomuch_portage.binhost import keys
from gentoomuch_portage.binhost.client.memory import BinhostRecords
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import archive
from gentoomuch_portage.freeze.archive import Manifest, Member
from gentoomuch_portage.freeze.errors import BadArchive, cannot_freeze, signer_revoked, signer_unknown, unsigned_archive
from gentoomuch_portage.gpg import BadKey

_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
_ISSUER = b"\x09\x10"
"""A subpacket of nine octets, of the type "issuer"."""


def is_canonical(signature: bytes, content: bytes, fingerprint: str) -> bool:
    """Check whether bytes are one version 4 signature of a document, without any additional data.

    gpg verifies that the signature is good.

    Args:
        content: the signed document.
        fingerprint: of the main key, which must be the signing key.
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


def add_manifest(profile: str, members: list[Member], key: keys.Key | None) -> list[Member]:
    """Put the manifest before the members, and sign it if there is a key.

    Raises:
        MissingProgram, RunError[signing-failed]: gpg is not installed, or fails.
    """
    if key is None:
        return [archive.make_manifest(profile, "", members), *sorted(members)]
    members = sorted([*members, Member(archive.KEY, key.public.read_bytes())])
    manifest = archive.make_manifest(profile, key.fingerprint, members)
    return [manifest, Member(archive.SIGNATURE, _signature(key, manifest.content)), *members]


def _signature(key: keys.Key, content: bytes) -> bytes:
    with tempfile.TemporaryDirectory(prefix="gm-seal-") as folder, fs.locked(key.lock):
        file, signature = Path(folder) / "manifest", Path(folder) / "sig"
        file.write_bytes(content)
        created = key_time(key)
        while time.time() < created + 1.5:
            # gpg ignores a faked time that equals the real one (Source: gnupg_set_time in gettime.c), and time(2)
            # is some milliseconds behind.
            time.sleep(0.05)
        date = ["--ignore-time-conflict", "--faked-system-time", f"{created}!"]
        gpg.sign_detached(key.home, key.fingerprint, file, signature, *date)
        content_of_signature = signature.read_bytes()
    if not is_canonical(content_of_signature, content, key.fingerprint):
        raise cannot_freeze(
            f"cannot sign with {key.fingerprint}: gpg writes a form that thaw rejects", hint="--unsigned"
        )
    return content_of_signature


def key_time(key: keys.Key) -> int:
    """Return when a key was made, in seconds since 1970. Source: GnuPG, doc/DETAILS, field 6."""
    listing = gpg.run_gpg(key.home, "--list-keys", "--with-colons", key.fingerprint).out
    return next(int(fields[5]) for line in listing.splitlines() if (fields := line.split(":"))[0] == "pub")


def open_archive(
    settings: Settings, file: Path, *, expected: str = "", unsigned: bool = False, known: frozenset[str] = frozenset()
) -> Manifest:
    """Read an archive, and verify that it is complete, signed, and signed by a trusted key.

    Only a temporary directory for gpg is written.

    Args:
        expected: the fingerprint of the key that must have signed it, or a file with the key (default: any known key).
        unsigned: accept an archive without a signature.
        known: fingerprints that were confirmed before.

    Raises:
        BadArchive: it was not written by freeze.
        UsageError[unsigned-archive], UsageError[signer-unknown]: no trusted key signed it.
    """
    members = archive.unpack_members(archive.read_archive(file), str(file))
    manifest = archive.check_manifest(members, str(file))
    if manifest.key:
        verify_signature(manifest, members[:2], str(file))
    check_signer(settings, manifest, str(file), expected=expected, unsigned=unsigned, known=known)
    return manifest


def verify_signature(manifest: Manifest, signed: tuple[Member, ...], name: str) -> None:
    """Verify the signature of an archive; ``check_signer`` checks whether its key is trusted.

    Args:
        signed: manifest and signature.

    Raises:
        BadArchive: it is not good, or not by the key that the manifest names.
    """
    content, signature = signed[0].content, signed[1].content
    if not is_canonical(signature, content, manifest.key):
        raise BadArchive(name, "its signature is not good")
    with tempfile.TemporaryDirectory(prefix="gm-seal-") as temporary:
        home = Path(temporary) / "home"
        for file, bytes_ in (
            ("manifest", content),
            ("sig", signature),
            ("key.asc", manifest.members[archive.KEY].content),
        ):
            (Path(temporary) / file).write_bytes(bytes_)
        try:
            imported = gpg.import_trusted_keys(home, [Path(temporary) / "key.asc"])
            signer = (
                gpg.find_signer(home, Path(temporary) / "manifest", Path(temporary) / "sig")
                if imported == [manifest.key]
                else ""
            )
        except BadKey as error:
            raise BadArchive(name, "its key is invalid or expired") from error
    if signer != manifest.key:
        raise BadArchive(name, "its signature is not good")


def check_signer(
    settings: Settings, manifest: Manifest, name: str, *, expected: str, unsigned: bool, known: frozenset[str]
) -> None:
    """Check that the key of an archive is known here, was given, or is confirmed now.

    Args:
        expected: a fingerprint, or a file with the key; may be empty.
        unsigned: accept an archive without a signature.
        known: fingerprints that were confirmed before.

    Raises:
        UsageError[unsigned-archive], UsageError[signer-unknown]: it is not signed by such a key.
        RunError[signer-revoked]: the key was revoked; a thief of the key can sign with any date.
    """
    if not manifest.key:
        if expected or not unsigned:
            raise unsigned_archive(name)
        return
    own = keys.find_key(settings)
    mine = gpg.find_revoked_keys([own.revoked]) if own is not None and own.revoked.is_file() else []
    if manifest.key in mine or BinhostRecords.of(settings).is_revoked(manifest.key):
        raise signer_revoked(name, manifest.key)
    if expected:
        wanted = gpg.parse_fingerprint(expected) or _read_fingerprint(Path(expected))
        if wanted != manifest.key:
            raise signer_unknown(name, manifest.key, wanted)
        return
    if manifest.key in known or (
        own is not None and manifest.key in {own.fingerprint, *gpg.read_fingerprints(own.all_public)}
    ):
        return
    question = f"{name} is signed by\n    {gpg.format_fingerprint(manifest.key)}\nIs that what binhost key says there?"
    if not console.confirm(question):
        raise signer_unknown(name, manifest.key)


def _read_fingerprint(file: Path) -> str:
    """Read the fingerprint of the only key in a file.

    Raises:
        BadKey: the file has no key, or several.
    """
    with tempfile.TemporaryDirectory(prefix="gm-seal-") as temporary:
        fingerprints = gpg.import_trusted_keys(Path(temporary) / "home", [file])
    if len(fingerprints) != 1:
        raise BadKey(str(file), f"it contains {len(fingerprints)} keys instead of one")
    return fingerprints[0]
