"""Which patches Portage applies to a package, and the digest by which it knows them again.

Source: eapply_user in phase-helpers.sh and UserPatches of Portage 3.0.83; portage(5), "/etc/portage/patches".
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.configroot.layers import PATCHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A version of a package, as folders of patches name it."""

    category: str
    name: str
    version: str
    """Without its revision."""
    revision: str
    """``r0`` where it has none."""
    slot: str

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of the folders that are looked into; a later one wins."""
        p = f"{self.name}-{self.version}"
        return tuple(
            f"{name}{slot}" for name in (self.name, p, f"{p}-{self.revision}") for slot in ("", f":{self.slot}")
        )


def applied(patches: Path, package: Package) -> dict[str, Path]:
    """Name -> file of the patches that a package gets, in the order in which they are applied.

    Args:
        patches: a folder that holds ``CAT/PN/*.patch``.
    """
    found: dict[str, Path] = {}
    for name in package.folders:
        for file in _files(patches / package.category / name):
            if file.stat().st_size:
                found[file.name] = file
            else:
                found.pop(file.name, None)
    return {name: found[name] for name in sorted(found, key=_bytes)}


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (one for one in folder.iterdir() if one.name.endswith(PATCHES) and not one.name.startswith("."))


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def sums(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA256 of each patch -> its name, in order."""
    return {hashlib.sha256(file.read_bytes()).hexdigest(): name for name, file in files.items()}


def digest(files: Mapping[str, Path]) -> str:
    """Portage's digest over patches: their contents in order, not their names; empty where there is none."""
    each = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files.values()]
    return hashlib.sha256("".join(each).encode()).hexdigest() if each else ""
