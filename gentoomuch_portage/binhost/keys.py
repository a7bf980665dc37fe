"""Directories of public keys that Portage verifies with: made from key files, named by what those hold.

``state/trust/DIGEST`` can be made again at any time from ``config/keys`` and ``state/binhost/keys.asc``.

The key that this machine signs binary packages with; the private one never leaves its directory.

``state/binhost/gnupg`` (0700) holds it, ``state/binhost/key`` names it, ``state/binhost/key.asc`` is what clients get.
"""

import hashlib
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, gpg
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, NoPrivilege
from gentoomuch_portage.gpg import BadKey


class Key(NamedTuple):
    """A key that signs."""

    home: Path
    """GnuPG's directory, which nobody else may read."""
    fingerprint: str
    public: Path
    """The public key as text."""
    every: Path
    """The same with the keys that were in use before; packages signed with those are still ours."""
    lock: Path
    """GnuPG's agent stumbles where many ask at once; Portage's own command takes a lock for that, too."""

    @property
    def name(self) -> str:
        """Sets this binhost apart from others on the same host, in the path of its URL; it outlives the key."""
        return (self.public.parent / "name").read_text(encoding="ascii").strip()

    def command(self) -> str:
        """What Portage signs with. Source: BINPKG_GPG_SIGNING_BASE_COMMAND in make.globals."""
        return f"flock {self.lock} gpg --sign --armor --no-auto-check-trustdb [PORTAGE_CONFIG]"


def known(settings: Settings) -> Key | None:
    """The key of this machine, or None where it has none yet."""
    folder = settings.state / "binhost"
    try:
        fingerprint = (folder / "key").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return _key(folder, fingerprint)


def key(settings: Settings) -> Key:
    """The key of this machine; made where it has none yet.

    Raises:
        MissingProgram, ProgramFailed: gpg is not here, or fails.
        NoPrivilege: this user may not keep one there, or not use it.
    """
    found = known(settings) or rotated(settings, only_first=True)
    if os.geteuid() not in {0, found.home.stat().st_uid}:
        raise NoPrivilege(f"{found.home} belongs to somebody else", remedy="run it as its owner")
    return found


def rotated(settings: Settings, *, only_first: bool = False) -> Key:
    """Make a new key and sign with it from now on; the old one stays in the directory.

    Args:
        only_first: unless somebody else made one meanwhile.
    """
    folder = fs.ensure(settings.state / "binhost")
    with fs.locked(folder / "lock"):
        if only_first and (found := known(settings)):
            return found
        home = folder / "gnupg"
        fingerprint = gpg.made(home, f"gentoomuch binhost on {socket.gethostname()}")
        fs.write(folder / "key.asc", gpg.exported(home, fingerprint))
        fs.write(folder / "keys.asc", "".join(gpg.exported(home, one) for one in gpg.secret(home)))
        if not (folder / "name").is_file():
            fs.write(folder / "name", f"{fingerprint[-16:].lower()}\n")
        fs.write(folder / "key", f"{fingerprint}\n")
    return _key(folder, fingerprint)


def _key(folder: Path, fingerprint: str) -> Key:
    return Key(folder / "gnupg", fingerprint, folder / "key.asc", folder / "keys.asc", folder / "lock")


def home(settings: Settings, keys: Iterable[Path]) -> Path:
    """The directory that trusts just these keys, made where it is missing.

    Raises:
        BadFile: a key file cannot be read.
        BadKey: one is no key.
    """
    contents = {}
    for one in sorted(set(keys)):
        try:
            contents[one] = one.read_bytes()
        except OSError as error:
            raise BadFile(
                one, 0, "the key of a binhost is not there", remedy="gentoomuch binhost client URL"
            ) from error
    total = hashlib.sha256()
    for content in sorted(contents.values()):
        total.update(hashlib.sha256(content).digest())
    place = settings.state / "trust" / total.hexdigest()[:16]
    if not place.is_dir():
        with fs.fresh_folder(fs.ensure(place.parent)) as fresh:
            gpg.trusting(fresh, contents)
            _named(fresh, place)
    return place


def _named(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # otherwise somebody else was quicker
            raise


def of_host(settings: Settings) -> list[Path]:
    """The keys that the host itself trusts, as Gentoo's own, which getuto looks after; no file where there are none."""
    home = settings.host / "gnupg"
    ring = home / "pubring.kbx"
    if not ring.is_file():
        return []
    # Which keys there are, and how far each is trusted.
    seen = [one.stat() for one in (ring, home / "trustdb.gpg") if one.is_file()]
    named = "-".join(f"{one.st_mtime_ns:x}-{one.st_size:x}" for one in seen)
    kept = settings.state / "trust" / f"host-{named}.asc"
    if not kept.is_file():
        trusted = gpg.public(home, trusted=True)
        fs.write(kept, "".join(gpg.exported(home, one) for one in trusted))
        for one in kept.parent.glob("host-*.asc"):
            if one != kept:  # the keys there were before
                one.unlink(missing_ok=True)
    return [kept] if kept.stat().st_size else []


def own(settings: Settings) -> dict[str, str]:
    """What Portage has to be told so that it takes packages that this machine has signed; nothing without a key."""
    key = known(settings)
    if key is None:
        return {}
    return {"BINPKG_GPG_VERIFY_GPG_HOME": str(home(settings, [key.every, *of_host(settings)]))}


def pinned(settings: Settings, fingerprint: str) -> Path:
    """Where the public key of a fingerprint is kept, as part of the configuration."""
    return settings.config / "keys" / f"{fingerprint}.asc"


def checked(where: str, content: bytes, fingerprint: str, folder: Path) -> str:
    """The fingerprint of the one key that a binhost shows.

    Args:
        where: the binhost, for messages.
        fingerprint: that was given; empty for any.
        folder: empty, ours; keys are imported there.

    Raises:
        BadKey: it is none, several, or another than the one given.
    """
    file = folder / "key.asc"
    file.write_bytes(content)
    try:
        found = gpg.trusting(folder / "home", [file])
    except BadKey:
        found = []
    if len(found) != 1:
        raise BadKey(where, f"it shows {len(found)} valid keys instead of one" if found else "it shows no valid key")
    if fingerprint and found[0] != fingerprint:
        raise BadKey(where, f"it is {found[0]}, and {fingerprint} was asked for", "ask whoever runs it which is right")
    return found[0]
