"""What a stage3 must prove before it is unpacked: signed by a release key of Gentoo's, and whole."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.roots.errors import BadArchive, BadSignature, NoKeys, Unsigned
from gentoomuch_portage.roots.unpack.stream import Packed, digest_of

KEYS = Path("/usr/share/openpgp-keys/gentoo-release.asc")
"""Where sec-keys/openpgp-keys-gentoo-release puts them."""
RELEASE_KEYS = frozenset(
    {
        "13EBBDBEDE7A12775DFDB1BABB572E0E2D182910",  # Automated Weekly Release Key
        "D99EAC7379A850BCE47DA5F29E6438C817072058",  # Release Signing Key
    }
)
"""The main keys that sign stage3s; what is signed is signed by subkeys of theirs.

Source: https://www.gentoo.org/downloads/signatures/ and the list in openpgp-keys-gentoo-release-20260125.ebuild, whose
two other keys sign snapshots of the ebuild repository.
"""
_DETACHED = (".asc",)
_CLEAR = (".DIGESTS", ".DIGESTS.asc", ".sha256")
_HASHES = {"SHA256": "sha256", "SHA512": "sha512", "BLAKE2B": "blake2b"}
_LINE = re.compile(r"([0-9a-fA-F]{64,128})  ?\*?(\S+)")
_WEAK = {"1", "2", "3"}
"""MD5, SHA-1 and RIPEMD-160. Source: RFC 4880, 9.4."""
_REFUSED = {
    "BADSIG": "the signature does not fit: it, or what it signs, was changed",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key that signed it has expired",
    "REVKEYSIG": "the key that signed it was revoked",
    "ERRSIG": "it is signed by a key that is not among the public keys",
}
"""Source: GnuPG, doc/DETAILS."""


class Trusted(NamedTuple):
    """Which keys may sign."""

    keys: Path
    """A file of public keys."""
    fingerprints: frozenset[str]
    """Of main keys; the others in the file count for nothing."""


class Proven(NamedTuple):
    """A stage3 whose signatures and digests hold."""

    packed: Packed
    still: Callable[[], None]
    """To be called when all of it was read: raises BadArchive where it was changed meanwhile."""


@contextmanager
def proven(file: Path, trusted: Trusted, cache: Path) -> Iterator[Proven]:
    """Look at the signatures and digests of a stage3, and hold the file open.

    Every signature that lies beside it is looked at, and one at least has to be there: ``FILE.asc``, or digests
    signed in the clear: ``FILE.DIGESTS``, ``FILE.sha256``.

    Raises:
        Unsigned, BadSignature, NoKeys: it proves nothing.
        BadArchive: it is not what the signed digests say.
        MissingProgram: there is no gpg.
    """
    number = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        seen = _state(number)
        held = Path(f"/proc/{os.getpid()}/fd/{number}")
        with _keyring(trusted, cache) as home:
            found = [_detached(home, trusted, named, held) for named in _beside(file, _DETACHED)]
            found += [_digests(home, trusted, named, file, held) for named in _beside(file, _CLEAR)]
        if not found:
            raise Unsigned(file, tuple(f"{file.name}{suffix}" for suffix in (*_DETACHED, *_CLEAR)))

        def still() -> None:
            if _state(number) != seen:
                raise BadArchive(file, "it was changed while it was read")

        yield Proven(Packed(str(held), 0, os.fstat(number).st_size, name=str(file)), still)
    finally:
        os.close(number)


def _state(number: int) -> tuple[int, ...]:
    seen = os.fstat(number)
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _beside(file: Path, suffixes: Collection[str]) -> list[Path]:
    return [named for suffix in suffixes if (named := file.with_name(f"{file.name}{suffix}")).is_file()]


@contextmanager
def _keyring(trusted: Trusted, cache: Path) -> Iterator[Path]:
    """A directory of gpg's that knows the public keys and nothing else, gone afterwards."""
    if not trusted.keys.is_file():
        raise NoKeys(trusted.keys)
    for left in sorted(cache.glob(".gnupg-*")):
        fs.remove_unheld(left)  # of a run that was killed
    with fs.fresh_folder(cache, prefix=".gnupg-") as home:
        home.chmod(0o700)
        (home / "common.conf").touch()  # or a gpg of 2.4 may ask a daemon for the keys
        gpg.gpg(home, "--import", trusted.keys, accept=())
        if "pub:" not in gpg.gpg(home, "--list-keys", "--with-colons", accept=()).out:
            raise NoKeys(trusted.keys)
        yield home


def _detached(home: Path, trusted: Trusted, signature: Path, file: Path) -> Path:
    _judge(home, trusted, signature, "--verify", signature, file)
    return signature


def _digests(home: Path, trusted: Trusted, signed: Path, file: Path, held: Path) -> Path:
    """Hold a file to digests that are signed in the clear; what stands outside of the signature says nothing."""
    text = home / "digests"
    text.unlink(missing_ok=True)
    _judge(home, trusted, signed, "--output", text, "--decrypt", signed)
    found = {kind: digest for kind, digest, name in _listed(text.read_text("utf-8", "replace")) if name == file.name}
    if not found:
        raise BadSignature(signed, f"it is signed, and says nothing of {file.name}")
    for kind, digest in sorted(found.items()):
        if digest_of(held, kind) != digest.lower():
            raise BadArchive(file, f"it has not the {kind} that {signed.name} says")
    return signed


def _listed(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, digest and name of each line; a comment ``# SHA512 HASH`` names the kind of what follows."""
    kind = ""
    for line in text.splitlines():
        words = line.removeprefix("#").split()
        if line.startswith("#") and words[1:] == ["HASH"]:
            kind = _HASHES.get(words[0], "?")
        elif kind != "?" and (found := _LINE.fullmatch(line.strip())) and (kind or len(found[1]) == 64):
            yield kind or "sha256", found[1], found[2]


def _judge(home: Path, trusted: Trusted, file: Path, *asked: str | Path) -> None:
    """Let gpg look at a signature, and take nothing but a good one of a trusted key that is valid today."""
    told = gpg.gpg(home, "--trust-model", "always", "--status-fd", "1", *asked, accept=()).out
    lines = [line.split()[1:] for line in told.splitlines() if line.startswith("[GNUPG:] ")]
    signers = [words for words in lines if words[:1] == ["VALIDSIG"]]
    for words in lines:
        if words and words[0] in _REFUSED:
            raise BadSignature(file, _why(words[0], words, signers), remedy=_remedy(words[0], trusted))
    if len(signers) != 1 or not any(words[:1] == ["GOODSIG"] for words in lines):
        raise BadSignature(file, "it is no signature" if not signers else "it has several signatures")
    [valid] = signers
    if valid[8] in _WEAK:
        raise BadSignature(file, "it is signed with a digest that can be forged")
    if (main := valid[-1]) not in trusted.fingerprints:
        known = ", ".join(gpg.spaced(one) for one in sorted(trusted.fingerprints))
        raise BadSignature(
            file,
            f"it is signed by {gpg.spaced(main)}, which is none of the keys for stage3s: {known}",
            remedy=f"--fingerprint {main}, if you know that key to be right",
        )


def _why(word: str, words: list[str], signers: list[list[str]]) -> str:
    of = signers[0][-1] if signers else words[1] if len(words) > 1 else ""
    return f"{_REFUSED[word]}{f' ({gpg.spaced(of)})' if of and word != 'BADSIG' else ''}"


def _remedy(word: str, trusted: Trusted) -> str:
    if word in {"EXPKEYSIG", "REVKEYSIG", "ERRSIG"}:
        renew = "emerge sec-keys/openpgp-keys-gentoo-release" if trusted.keys == KEYS else "fetch the public key anew"
        return f"{renew}, or name another file of keys: --key FILE"
    return ""
