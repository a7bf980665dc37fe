"""The packages of a folder and their signatures: which have none, and giving them one."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gentoomuch_portage.binhost.keys import Key
from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.binpkg.tar import Section, members
from gentoomuch_portage.portage_adapter import signing

SUFFIX = ".gpkg.tar"
_SIGNATURE = ".sig"


def packages(root: Path) -> Iterator[Path]:
    """The gpkgs of a binhost, sorted; an xpak cannot be signed. What goes meanwhile is left out."""
    found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names if name.endswith(SUFFIX))
    yield from sorted(one for one in found if one.is_file() and not one.is_symlink())


class Unsigned:
    """Finds the packages that have no signature; those that have one are looked at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._signed: set[tuple[str, int, int]] = set()

    def __call__(self) -> list[Path]:
        """Look at what is new."""
        found = []
        for file in packages(self._root):
            with suppress(FileNotFoundError):  # cleaned away, or built anew
                seen = file.stat()
                mark = (str(file), seen.st_mtime_ns, seen.st_ino)
                if mark in self._signed:
                    continue
                if unsigned(file):
                    found.append(file)
                else:
                    self._signed.add(mark)
        return found


def unsigned(file: Path) -> bool:
    """Whether a gpkg has no signature at all; False for what is none, or is gone.

    Where one member is signed, Portage takes all to be (Source: gpkg._verify_binpkg).
    """
    with suppress(FileNotFoundError), file.open("rb") as opened:

        def at(offset: int, length: int) -> bytes:
            opened.seek(offset)
            return opened.read(length)

        source = Source(str(file), os.fstat(opened.fileno()).st_size, at)
        try:
            return not any(
                name.endswith(_SIGNATURE) for name, _ in members(Section(source, 0, source.size), source.bad)
            )
        except BadBinpkg:
            return False
    return False


def variables(key: Key) -> dict[str, str]:
    """What Portage has to be told so that it signs with a key."""
    return {
        "BINPKG_GPG_SIGNING_BASE_COMMAND": key.command(),
        "BINPKG_GPG_SIGNING_GPG_HOME": str(key.home),
        "BINPKG_GPG_SIGNING_KEY": key.fingerprint,
    }


def sign(files: list[Path], key: Key, home: Path) -> Iterator[tuple[Path, str]]:
    """Sign packages; each with what stands against it, empty where it is signed now.

    Args:
        home: where the key is trusted; an earlier signature must hold there, or is refused.
    """
    told = {**variables(key), "BINPKG_GPG_VERIFY_GPG_HOME": str(home)}
    for file in files:
        try:
            signing.sign(file, told)
        except signing.Unfit as error:
            yield file, str(error)
        else:
            yield file, ""
