"""The key that this machine signs binary packages with; the private one never leaves its directory.

``state/binhost/gnupg`` (0700) holds it, ``state/binhost/key`` names it, ``state/binhost/key.asc`` is what clients get.
"""

import os
import socket
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import files
from gentoomuch_portage.binserve import gpg
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.settings import Settings


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
    folder = files.ensure(settings.state / "binhost")
    with files.locked(folder / "lock"):
        if only_first and (found := known(settings)):
            return found
        home = folder / "gnupg"
        fingerprint = gpg.made(home, f"gentoomuch binhost on {socket.gethostname()}")
        files.write(folder / "key.asc", gpg.exported(home, fingerprint))
        files.write(folder / "keys.asc", "".join(gpg.exported(home, one) for one in gpg.secret(home)))
        if not (folder / "name").is_file():
            files.write(folder / "name", f"{fingerprint[-16:].lower()}\n")
        files.write(folder / "key", f"{fingerprint}\n")
    return _key(folder, fingerprint)


def _key(folder: Path, fingerprint: str) -> Key:
    return Key(folder / "gnupg", fingerprint, folder / "key.asc", folder / "keys.asc", folder / "lock")
