"""Directories of public keys that Portage verifies with: made from key files, named by what those hold.

``state/trust/DIGEST`` can be made again at any time from ``config/keys`` and ``state/binhost/keys.asc``.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.binserve import gpg, keys
from gentoomuch_portage.binserve.errors import BadKey
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.settings import Settings


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
        with files.fresh_folder(files.ensure(place.parent)) as fresh:
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
        files.write(kept, "".join(gpg.exported(home, one) for one in trusted))
        for one in kept.parent.glob("host-*.asc"):
            if one != kept:  # the keys there were before
                one.unlink(missing_ok=True)
    return [kept] if kept.stat().st_size else []


def own(settings: Settings) -> dict[str, str]:
    """What Portage has to be told so that it takes packages that this machine has signed; nothing without a key."""
    key = keys.known(settings)
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
