# SPDX-License-Identifier: GPL-2.0-or-later
"""Verify a stage3 before it is unpacked: its signature by a release key of Gentoo, and its digests."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.roots.errors import BadArchive, bad_signature, no_keys, unsigned_tarball
from gentoomuch_portage.roots.unpack.stream import Packed, digest_of

KEYS = Path("/usr/share/openpgp-keys/gentoo-release.asc")
"""The file of sec-keys/openpgp-keys-gentoo-release."""
RELEASE_KEYS = frozenset(
    {
        "13EBBDBEDE7A12775DFDB1BABB572E0E2D182910",  # Automated Weekly Release Key
        "D99EAC7379A850BCE47DA5F29E6438C817072058",  # Release Signing Key
    }
)
"""The primary keys whose subkeys sign stage3s.

Source: https://www.gentoo.org/downloads/signatures/ and the list in openpgp-keys-gentoo-release-20260125.ebuild, whose
two other keys sign snapshots of the ebuild repository.
"""
_DETACHED = (".asc",)
_CLEAR = (".DIGESTS", ".DIGESTS.asc", ".sha256")
_HASHES = {"SHA256": "sha256", "SHA512": "sha512", "BLAKE2B": "blake2b"}
_LINE = re.compile(r"([0-9a-fA-F]{64,128})  ?\*?(\S+)")
_WEAK = {"1", "2", "3"}
"""MD5, SHA-1 and RIPEMD-160. Source: RFC 4880, 9.4."""
_REJECTED = {
    "BADSIG": "the signature does not match: it, or the signed file, was changed",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key that signed it has expired",
    "REVKEYSIG": "the key that signed it was revoked",
    "ERRSIG": "the key that signed it is not among the public keys",
}
"""Source: GnuPG, doc/DETAILS."""


class Trusted(NamedTuple):
    """The keys that may sign."""

    keys: Path
    """A file of public keys."""
    fingerprints: frozenset[str]
    """Of primary keys; other keys in the file are ignored."""


class Verified(NamedTuple):
    """A stage3 with valid signatures and digests."""

    packed: Packed
    recheck: Callable[[], None]
    """To be called after it was read; raises BadArchive if it was changed meanwhile."""


@contextmanager
def verified(file: Path, trusted: Trusted, cache: Path) -> Iterator[Verified]:
    """Verify the signatures and digests of a stage3, and keep the file open.

    All signature files are verified, and at least one must exist: ``FILE.asc``, or clear-signed digests:
    ``FILE.DIGESTS``, ``FILE.sha256``.

    Raises:
        RunError[unsigned-stage3], RunError[bad-signature], MachineError[no-keys]: it cannot be verified.
        BadArchive: it does not match the signed digests.
        MissingProgram: gpg is not installed.
    """
    number = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        before = _state(number)
        opened = Path(f"/proc/{os.getpid()}/fd/{number}")
        with _keyring(trusted, cache) as home:
            signatures = [_verify_detached(home, trusted, path, opened) for path in _find_beside(file, _DETACHED)]
            signatures += [_verify_digests(home, trusted, path, file, opened) for path in _find_beside(file, _CLEAR)]
        if not signatures:
            raise unsigned_tarball(file, tuple(f"{file.name}{suffix}" for suffix in (*_DETACHED, *_CLEAR)))

        def recheck() -> None:
            if _state(number) != before:
                raise BadArchive(file, "it was changed while it was read")

        yield Verified(Packed(str(opened), 0, os.fstat(number).st_size, name=str(file)), recheck)
    finally:
        os.close(number)


def _state(number: int) -> tuple[int, ...]:
    status = os.fstat(number)
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _find_beside(file: Path, suffixes: Collection[str]) -> list[Path]:
    paths = (file.with_name(f"{file.name}{suffix}") for suffix in suffixes)
    return [path for path in paths if path.is_file()]


@contextmanager
def _keyring(trusted: Trusted, cache: Path) -> Iterator[Path]:
    """Create a temporary home directory of gpg that has only the public keys."""
    if not trusted.keys.is_file():
        raise no_keys(trusted.keys)
    for left in sorted(cache.glob(".gnupg-*")):
        fs.remove_unlocked(left)  # of a run that was killed
    with fs.fresh_folder(cache, prefix=".gnupg-") as home:
        home.chmod(0o700)
        (home / "common.conf").touch()  # or gpg 2.4 may use a daemon for the keys
        gpg.import_keys(home, trusted.keys)
        if "pub:" not in gpg.run_gpg(home, "--list-keys", "--with-colons", accept=()).out:
            raise no_keys(trusted.keys)
        yield home


def _verify_detached(home: Path, trusted: Trusted, signature: Path, file: Path) -> Path:
    _verify(home, trusted, signature, "--verify", signature, file)
    return signature


def _verify_digests(home: Path, trusted: Trusted, signed: Path, file: Path, opened: Path) -> Path:
    """Compare a file with clear-signed digests; text outside of the signature is ignored."""
    text = home / "digests"
    text.unlink(missing_ok=True)
    _verify(home, trusted, signed, "--output", text, "--decrypt", signed)
    lines = _parse_digests(text.read_text("utf-8", "replace"))
    digests = {kind: digest for kind, digest, name in lines if name == file.name}
    if not digests:
        raise bad_signature(signed, f"it is signed, but has no digest of {file.name}")
    for kind, digest in sorted(digests.items()):
        if digest_of(opened, kind) != digest.lower():
            raise BadArchive(file, f"its {kind} differs from the one in {signed.name}")
    return signed


def _parse_digests(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield algorithm, digest and file name of each line; a comment ``# SHA512 HASH`` sets the algorithm."""
    kind = ""
    for line in text.splitlines():
        words = line.removeprefix("#").split()
        if line.startswith("#") and words[1:] == ["HASH"]:
            kind = _HASHES.get(words[0], "?")
        elif kind != "?" and (match := _LINE.fullmatch(line.strip())) and (kind or len(match[1]) == 64):
            yield kind or "sha256", match[1], match[2]


def _verify(home: Path, trusted: Trusted, file: Path, *arguments: str | Path) -> None:
    """Verify a signature with gpg: it must be a valid one of a trusted key."""
    output = gpg.run_gpg(home, "--trust-model", "always", "--status-fd", "1", *arguments, accept=()).out
    lines = [line.split()[1:] for line in output.splitlines() if line.startswith("[GNUPG:] ")]
    signers = [words for words in lines if words[:1] == ["VALIDSIG"]]
    for words in lines:
        if words and words[0] in _REJECTED:
            raise bad_signature(file, _reason(words[0], words, signers), hint=_hint(words[0], trusted))
    if len(signers) != 1 or not any(words[:1] == ["GOODSIG"] for words in lines):
        raise bad_signature(file, "it is not a signature" if not signers else "it has several signatures")
    [valid] = signers
    if valid[8] in _WEAK:
        raise bad_signature(file, "its digest algorithm is insecure")
    if (primary := valid[-1]) not in trusted.fingerprints:
        known = ", ".join(gpg.format_fingerprint(key) for key in sorted(trusted.fingerprints))
        raise bad_signature(
            file,
            f"it is signed by {gpg.format_fingerprint(primary)}, which is not a key for stage3s ({known})",
            hint=f"--fingerprint {primary}, if you trust that key",
        )


def _reason(word: str, words: list[str], signers: list[list[str]]) -> str:
    key = signers[0][-1] if signers else words[1] if len(words) > 1 else ""
    return f"{_REJECTED[word]}{f' ({gpg.format_fingerprint(key)})' if key and word != 'BADSIG' else ''}"


def _hint(word: str, trusted: Trusted) -> str:
    if word in {"EXPKEYSIG", "REVKEYSIG", "ERRSIG"}:
        renew = (
            "emerge sec-keys/openpgp-keys-gentoo-release" if trusted.keys == KEYS else "download the public key again"
        )
        return f"{renew}, or use another file of keys: --key FILE"
    return ""
