# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the patches that Portage applies to a package, and compute the digest that it records of them.

Source: eapply_user in phase-helpers.sh and UserPatches of Portage 3.0.83; portage(5), "/etc/portage/patches".
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config.portage_names import PATCH_SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A version of a package, for the names of its directories of patches."""

    category: str
    name: str
    version: str
    """Without its revision."""
    revision: str
    """``r0`` by default."""
    slot: str

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of its directories of patches; a later one overrides an earlier one."""
        p = f"{self.name}-{self.version}"
        return tuple(
            f"{name}{slot}" for name in (self.name, p, f"{p}-{self.revision}") for slot in ("", f":{self.slot}")
        )


def find_applied(patches: Path, package: Package) -> dict[str, Path]:
    """Return name -> file of the patches of a package, in the order in which they are applied.

    Args:
        patches: a directory with ``CAT/PN/*.patch``.
    """
    applied: dict[str, Path] = {}
    for name in package.folders:
        for file in _files(patches / package.category / name):
            if file.stat().st_size:
                applied[file.name] = file
            else:
                applied.pop(file.name, None)
    return {name: applied[name] for name in sorted(applied, key=_bytes)}


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (
            file for file in folder.iterdir() if file.name.endswith(PATCH_SUFFIXES) and not file.name.startswith(".")
        )


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def sums(files: Mapping[str, Path]) -> dict[str, str]:
    """Return SHA256 of each patch -> its name, in order."""
    return {hashlib.sha256(file.read_bytes()).hexdigest(): name for name, file in files.items()}


def digest(files: Mapping[str, Path]) -> str:
    """Return Portage's digest of patches: of their contents in order, without names; empty if there are no patches."""
    each = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files.values()]
    return hashlib.sha256("".join(each).encode()).hexdigest() if each else ""
