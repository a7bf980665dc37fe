"""An archive that was checked in full before anything of it is used."""

from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.freeze import archive, signature
from gentoomuch_portage.freeze.archive import Manifest


def opened(
    settings: Settings, file: Path, *, asked: str = "", unsigned: bool = False, known: frozenset[str] = frozenset()
) -> Manifest:
    """Read an archive, and see to it that it is whole, as it was signed, and signed by somebody who is trusted.

    Nothing of it is written anywhere but into a temporary directory of gpg's.

    Args:
        asked: the fingerprint of the key that must have signed it, or a file with it; empty for any that is known.
        unsigned: take one that is not signed.
        known: fingerprints that were agreed to before.

    Raises:
        BadArchive: it is not what freeze wrote.
        Unsigned, SignerUnknown: nobody answers for it.
    """
    found = archive.unpacked(archive.read(file), str(file))
    told = archive.checked(found, str(file))
    if told.key:
        signature.check(told, found[:2], str(file))
    signature.agree(settings, told, str(file), asked=asked, unsigned=unsigned, known=known)
    return told
