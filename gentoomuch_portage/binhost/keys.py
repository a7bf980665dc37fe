# SPDX-License-Identifier: GPL-2.0-or-later
"""Manage the key that signs binary packages, and directories of public keys for Portage to verify with.

The private key never leaves ``state/binhost/gnupg`` (0700). ``state/binhost/key`` has its fingerprint,
``state/binhost/key.asc`` the public key for clients, ``state/binhost/revoked.asc`` revoked keys with their own
revocations, also for clients, and ``state/binhost/former.asc`` the same keys before their revocation.

``state/trust/DIGEST`` can always be rebuilt from ``config/keys`` and ``state/binhost/keys.asc``.
"""

import hashlib
import os
import re
import shlex
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, NoPrivilege, UsageError, listed, unreadable
from gentoomuch_portage.gpg import BadKey


class Key(NamedTuple):
    """A signing key."""

    home: Path
    """GnuPG's directory, readable by its owner only."""
    fingerprint: str
    public: Path
    """The public key as text."""
    all_public: Path
    """The public key and its predecessors, whose packages are still accepted."""
    lock: Path
    """Lock for all uses of the key, also by Portage's own command: GnuPG's agent fails under concurrency. The holder of
    the lock may end the agent.
    """

    @property
    def revoked(self) -> Path:
        """The file of revoked public keys, for clients; missing if there are none."""
        return self.public.with_name("revoked.asc")

    @property
    def former(self) -> Path:
        """The same keys before their revocation: packages that they signed may be signed again."""
        return self.public.with_name("former.asc")

    @property
    def trusted_for_signing(self) -> list[Path]:
        """The key files whose signatures may be replaced by one of this key."""
        return [self.all_public, *(file for file in (self.former,) if file.is_file())]

    @property
    def name(self) -> str:
        """Name in the path of the URL, unique among the binhosts of a host; it stays when the key is rotated."""
        file = self.public.with_name("name")
        name = stored.recall(file, _parse_name)
        if name is None:  # derived from the oldest key
            name = _parse_name(_list_own_keys(self)[0][-16:].lower())
            fs.write_cache(file, f"{name}\n", durable=True)
        return name

    def command(self) -> str:
        """Return the command that Portage signs with; it leaves no agent behind.

        Source: BINPKG_GPG_SIGNING_BASE_COMMAND in make.globals.
        """
        script = Path(__file__).with_name("sign-once.sh")
        return f"flock {self.lock} sh {script} {self.home} --sign --armor --no-auto-check-trustdb [PORTAGE_CONFIG]"


def find_key(settings: Settings) -> Key | None:
    """Return the key of this machine, or None."""
    folder = settings.state / "binhost"
    file = folder / "key"
    if not os.path.lexists(file):
        return None
    fingerprint = stored.recall(file, _parse_fingerprint)
    if fingerprint is None:
        fingerprint = _list_own_keys(_make_key(folder, ""))[-1]  # the newest key signs
        fs.write_cache(file, f"{fingerprint}\n", durable=True)
    key = _make_key(folder, fingerprint)
    revoked = (key.revoked,) if os.path.lexists(key.revoked) else ()
    if any(stored.recall(public, _parse_armored) is None for public in (key.public, key.all_public, *revoked)):
        restore_public_files(key)
    return key


def restore_public_files(key: Key) -> None:
    """Write the files of public keys again from GnuPG's directory.

    Raises:
        BadFile: the key is missing.
        NoPrivilege, MachineError[disk-full], ReadOnly: the files cannot be written.
    """
    with fs.locked(key.lock):
        text = gpg.export_key(key.home, key.fingerprint)
        if not _is_armored(text):
            raise _key_missing(key)
        for file in (key.public, key.all_public):
            fs.remove(file)
        fs.write(key.public, text)
        _write_public_keys(key.home.parent)


def _list_own_keys(key: Key) -> list[str]:
    """List the fingerprints of the keys of this machine, the oldest first.

    Raises:
        BadFile: there are none.
    """
    with fs.locked(key.lock):
        fingerprints = gpg.list_secret_keys(key.home) if key.home.is_dir() else []
    if not fingerprints:
        raise _key_missing(key)
    return fingerprints


def _key_missing(key: Key) -> BadFile:
    folder = key.home.parent
    again = f"mv {shlex.quote(str(folder))} {shlex.quote(f'{folder}.bad')}; gentoomuch binhost key"
    what = "the key of this machine is damaged or missing in GnuPG's directory"
    return BadFile(key.home, 0, what, hint=f"restore {folder} from a backup, or generate another key: {again}")


def _parse_fingerprint(text: str) -> str:
    if not re.fullmatch("[0-9A-F]{40}", text.strip()):
        raise ValueError("not a fingerprint")
    return text.strip()


def _parse_name(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_.-]+", text.strip()):
        raise ValueError("not a name")
    return text.strip()


def _parse_armored(text: str) -> str:
    if not _is_armored(text):
        raise ValueError("not a public key")
    return text


def _is_armored(text: str) -> bool:
    """Check whether a text has the form of public keys. Source: RFC 9580, 6.2."""
    lines = text.split("\n")
    return lines[0] == f"-----BEGIN {_BLOCK}-----" and lines[-2:] == [f"-----END {_BLOCK}-----", ""]


_BLOCK = "PGP PUBLIC KEY BLOCK"


def ensure_key(settings: Settings) -> Key:
    """Return the key of this machine; generate it if there is none.

    Raises:
        MissingProgram, ProgramFailed: gpg is not installed, or fails.
        NoPrivilege: this user may not store or use the key.
        BadFile: its directory is missing or damaged.
    """
    key = find_key(settings) or rotate(settings, only_first=True)
    if os.geteuid() not in {0, _find_owner(key)}:
        raise NoPrivilege(f"another user owns {key.home}", hint="run it as the owner")
    return key


def _find_owner(key: Key) -> int:
    try:
        return key.home.stat().st_uid
    except PermissionError as error:
        raise unreadable(key.home, error) from error
    except OSError as error:
        raise _key_missing(key) from error


def rotate(settings: Settings, *, only_first: bool = False) -> Key:
    """Generate a new signing key; the old one stays in the directory.

    Args:
        only_first: return the existing key if there is one now.
    """
    folder = fs.ensure(settings.state / "binhost")
    with fs.locked(folder / "lock"):
        if only_first and (existing := find_key(settings)):
            return existing
        home = folder / "gnupg"
        fingerprint = gpg.generate_key(home, f"gentoomuch binhost on {socket.gethostname()}")
        fs.write(folder / "key.asc", gpg.export_key(home, fingerprint))
        _write_public_keys(folder)
        if not (folder / "name").is_file():
            fs.write(folder / "name", f"{fingerprint[-16:].lower()}\n")
        fs.write(folder / "key", f"{fingerprint}\n")
    return _make_key(folder, fingerprint)


def revoke(settings: Settings, fingerprint: str) -> Key:
    """Revoke a key of this machine permanently, and return the signing key; it is a new one if that key was revoked.

    Raises:
        UsageError[no-key-to-revoke]: this machine has no such key.
    """
    current = find_key(settings)
    own = [] if current is None else _all_keys(current)
    if current is None or fingerprint not in own:
        raise no_key_to_revoke(fingerprint, own)
    if fingerprint == current.fingerprint:
        current = rotate(settings)
    with fs.locked(current.lock):
        if fingerprint not in gpg.list_public_keys(
            current.home, validity="r"
        ):  # or a run was killed before it wrote the files
            _append_key(current.former, gpg.export_key(current.home, fingerprint))
            gpg.revoke(current.home, fingerprint)
        _write_public_keys(current.public.parent)
    return current


def _all_keys(key: Key) -> list[str]:
    with fs.locked(key.lock):
        return [*gpg.list_secret_keys(key.home), *gpg.list_public_keys(key.home, validity="r")]


def _write_public_keys(folder: Path) -> None:
    home = folder / "gnupg"
    keys = {"keys.asc": gpg.list_secret_keys(home), "revoked.asc": gpg.list_public_keys(home, validity="r")}
    for name, fingerprints in keys.items():
        if fingerprints or name == "keys.asc":
            text = "".join(gpg.export_key(home, fingerprint) for fingerprint in fingerprints)
            fs.write_cache(folder / name, text, durable=True)


def _append_key(file: Path, text: str) -> None:
    before = stored.load(file, _parse_armored, "a file of public keys", hint=stored.removal_command(file))
    fs.write(file, (before or "") + text)


def sign(key: Key, file: Path, signature: Path) -> None:
    """Write a detached signature of a file, under the lock of the key."""
    with fs.locked(key.lock):
        gpg.sign_detached(key.home, key.fingerprint, file, signature)


def no_key_to_revoke(fingerprint: str, keys: Iterable[str]) -> UsageError:
    """The key to revoke is not a key of this machine."""
    what = f"cannot revoke {fingerprint}: this machine has no such key"
    return UsageError(f"{what} {listed(keys)}", code="no-key-to-revoke", hint="gentoomuch binhost key")


def _make_key(folder: Path, fingerprint: str) -> Key:
    return Key(folder / "gnupg", fingerprint, folder / "key.asc", folder / "keys.asc", folder / "lock")


def trusting_home(settings: Settings, keys: Iterable[Path]) -> Path:
    """Return the directory that trusts exactly these keys; build it if it is missing.

    Raises:
        BadFile: a key file cannot be read.
        BadKey: one is not a key.
    """
    contents = {key: _read_key_file(settings, key) for key in sorted(set(keys))}
    total = hashlib.sha256()
    for content in sorted(contents.values()):
        total.update(hashlib.sha256(content).digest())
    home = settings.state / "trust" / total.hexdigest()[:16]
    if not _is_intact(home):
        with fs.fresh_folder(fs.ensure(home.parent)) as fresh:
            gpg.import_trusted_keys(fresh, contents)
            fs.write(fresh / _MARK, _digest_ring(fresh))
            if os.path.lexists(home) and not _is_intact(home):  # otherwise another process was faster
                _remove_damaged(home)
            _rename(fresh, home)
    return home


_MARK = "made"
"""File in such a directory with the digest of its key ring, which GnuPG does not change when verifying."""


def _read_key_file(settings: Settings, file: Path) -> bytes:
    """Read a file of public keys.

    Raises:
        BadFile: it is missing, or cannot be read.
    """
    try:
        return stored.read_bytes(file)
    except OSError as error:
        is_own = file.is_relative_to(settings.state)
        hint = "gentoomuch binhost key" if is_own else "gentoomuch binhost client URL"
        missing = isinstance(error, FileNotFoundError)
        why = "is missing" if missing else f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise BadFile(file, 0, f"the key of a binhost {why}", hint=hint) from error


def _is_intact(place: Path) -> bool:
    """Check whether a directory of public keys is as it was built."""
    try:
        digest = stored.read_bytes(place / _MARK).decode("ascii")
        trust = stored.read_bytes(place / "trustdb.gpg")
        plain = (place / "common.conf").is_file()
        return (
            digest == _digest_ring(place) and trust.startswith(b"\x01gpg") and not len(trust) % _TRUST_RECORD and plain
        )
    except (OSError, ValueError):
        return False


_TRUST_RECORD = 40
"""Bytes per record of trustdb.gpg. Source: GnuPG, g10/tdbio.h."""


def _digest_ring(place: Path) -> str:
    return hashlib.sha256(stored.read_bytes(place / "pubring.kbx")).hexdigest()


def _remove_damaged(place: Path) -> None:
    if place.is_symlink() or not place.is_dir() or not fs.remove_unlocked(place):
        fs.remove(place)


def _rename(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # otherwise another process was faster
            raise


def is_revoked(states: Iterable[Path], fingerprint: str) -> bool:
    """Check whether a binhost of this machine has revoked a key.

    Args:
        states: state directories; ``binhosts/revoked/`` contains the keys, each with its revocation.
    """
    return any((state / "binhosts/revoked" / f"{fingerprint}.asc").is_file() for state in states)


def host_keys(settings: Settings) -> list[Path]:
    """Return the file of the keys that the host itself trusts, as those of Gentoo that getuto manages; may be empty.

    Keys revoked by a binhost are omitted.
    """
    home = settings.host / "gnupg"
    ring = home / "pubring.kbx"
    if not ring.is_file():
        return []
    # Both change with the keys and their trust.
    stamps = [file.stat() for file in (ring, home / "trustdb.gpg") if file.is_file()]
    version = "-".join(f"{status.st_mtime_ns:x}-{status.st_size:x}" for status in stamps)
    revoked = [file.stem for state in settings.states for file in state.glob("binhosts/revoked/*.asc")]
    revocations = hashlib.sha256(" ".join(sorted(revoked)).encode()).hexdigest()[:8] if revoked else ""
    cached = settings.state / "trust" / f"host-{version}{revocations and '-'}{revocations}.asc"
    text = stored.recall(cached, lambda text: text and _parse_armored(text))
    if text is None:
        trusted = gpg.list_public_keys(home, validity="fu")
        text = "".join(gpg.export_key(home, fingerprint) for fingerprint in trusted if fingerprint not in revoked)
        fs.write_cache(cached, text)
        for file in cached.parent.glob("host-*.asc"):
            if file != cached:  # an earlier state of the keys
                file.unlink(missing_ok=True)
    return [cached] if text else []


def verify_variables(settings: Settings) -> dict[str, str]:
    """Return the variables for Portage to accept packages signed by this machine; empty without a key."""
    key = find_key(settings)
    if key is None:
        return {}
    return {"BINPKG_GPG_VERIFY_GPG_HOME": str(trusting_home(settings, [key.all_public, *host_keys(settings)]))}


def pinned_path(settings: Settings, fingerprint: str) -> Path:
    """Return the path of a pinned public key, which is part of the configuration."""
    return settings.config / "keys" / f"{fingerprint}.asc"


def check_key(where: str, content: bytes, fingerprint: str, folder: Path) -> str:
    """Return the fingerprint of the only key that a binhost offers.

    Args:
        where: the binhost, for messages.
        fingerprint: expected fingerprint; empty for any.
        folder: an empty directory for the imported keys.

    Raises:
        BadKey: there is none, several, or another one.
    """
    file = folder / "key.asc"
    file.write_bytes(content)
    try:
        fingerprints = gpg.import_trusted_keys(folder / "home", [file])
    except BadKey:
        fingerprints = []
    if len(fingerprints) != 1:
        raise BadKey(
            where,
            f"it offers {len(fingerprints)} valid keys instead of one" if fingerprints else "it offers no valid key",
        )
    if fingerprint and fingerprints[0] != fingerprint:
        raise BadKey(
            where,
            f"it is {fingerprints[0]}, not {fingerprint}",
            "gentoomuch binhost key on the server prints the right one",
        )
    return fingerprints[0]
