# SPDX-License-Identifier: GPL-2.0-or-later
"""Find unsigned packages of a directory, and sign them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gentoomuch_portage.binhost.keys import Key
from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.binpkg.tar import Section, read_members
from gentoomuch_portage.portage_adapter import signing

SUFFIX = ".gpkg.tar"
_SIGNATURE = ".sig"


def find_packages(root: Path) -> Iterator[Path]:
    """Yield the gpkgs of a binhost, sorted; an xpak cannot be signed."""
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names if name.endswith(SUFFIX))
    yield from sorted(file for file in files if file.is_file() and not file.is_symlink())


class UnsignedPackages:
    """Finds packages without a signature; signed ones are read only once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._signed: set[tuple[str, int, int]] = set()

    def __call__(self) -> list[Path]:
        """Find unsigned packages among new files."""
        unsigned = []
        for file in find_packages(self._root):
            with suppress(FileNotFoundError):  # removed, or built again
                status = file.stat()
                mark = (str(file), status.st_mtime_ns, status.st_ino)
                if mark in self._signed:
                    continue
                if is_unsigned(file):
                    unsigned.append(file)
                else:
                    self._signed.add(mark)
        return unsigned


def is_unsigned(file: Path) -> bool:
    """Check whether a gpkg has no signature at all; False if it is not a gpkg, or missing."""
    return has_signature(file) is False


def has_signature(file: Path) -> bool | None:
    """Check whether a gpkg has any signature; None if it is not a gpkg, or missing.

    If one member is signed, Portage requires it of all (Source: gpkg._verify_binpkg).
    """
    with suppress(FileNotFoundError, BadBinpkg), file.open("rb") as opened:

        def at(offset: int, length: int) -> bytes:
            opened.seek(offset)
            return opened.read(length)

        source = Source(str(file), os.fstat(opened.fileno()).st_size, at)
        members = read_members(Section(source, 0, source.size), source.bad)
        return any(name.endswith(_SIGNATURE) for name, _ in members)
    return None


def signing_variables(key: Key) -> dict[str, str]:
    """Return the variables for Portage to sign with a key."""
    return {
        "BINPKG_GPG_SIGNING_BASE_COMMAND": key.command(),
        "BINPKG_GPG_SIGNING_GPG_HOME": str(key.home),
        "BINPKG_GPG_SIGNING_KEY": key.fingerprint,
    }


def sign_packages(files: list[Path], key: Key, home: Path) -> Iterator[tuple[Path, str]]:
    """Sign packages, and yield each with its error, or an empty text.

    Args:
        home: directory that trusts the key; an earlier signature must be valid there.
    """
    variables = {**signing_variables(key), "BINPKG_GPG_VERIFY_GPG_HOME": str(home)}
    for file in files:
        try:
            signing.sign(file, variables)
        except signing.Unfit as error:
            yield file, str(error)
        else:
            yield file, ""
