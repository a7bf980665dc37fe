# SPDX-License-Identifier: GPL-2.0-or-later
"""Find stage3s in a directory that fit a profile, by their names: ``stage3-amd64-musl-20261115T170000Z.tar.xz``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"stage3-(?P<arch>[^-]+)(?P<variants>(?:-[a-z0-9]+)*?)-(?P<date>\d{8}(?:T\d{6}Z)?)\.tar(?:\.\w+)?")
_ARCHES: Mapping[str, str] = {
    "x86_64": "amd64", "aarch64": "arm64", "powerpc64le": "ppc64le", "powerpc64": "ppc64", "powerpc": "ppc",
    "riscv64": "rv64_lp64d", "loongarch64": "loong",
}  # fmt: skip
"""First part of CHOST -> the name of its stage3s; the others have the same name."""
_VARIANTS: Mapping[str, str] = {
    "systemd": "systemd", "musl": "musl", "llvm": "llvm", "hardened": "hardened", "selinux": "selinux",
    "nomultilib": "no-multilib", "splitusr": "split-usr", "x32": "x32",
}  # fmt: skip
"""Part of the name of a stage3 -> directory of the make_profiles that it is for. Other parts, such as ``openrc`` and
``desktop``, do not matter. Source: https://distfiles.gentoo.org/releases/, and profiles.desc of ::gentoo."""


class Kind(NamedTuple):
    """What a stage3 for a profile is called."""

    arch: str
    """As in the name of a stage3: amd64, armv7a_hardfp. Empty if the profile has no CHOST; no stage3 fits it."""
    variants: frozenset[str]

    def __str__(self) -> str:
        return "-".join(filter(None, ("stage3", self.arch, *sorted(self.variants))))

    @classmethod
    def of_profile(cls, chost: str, make_profile: Path | None) -> "Kind":
        """Return the kind for a CHOST and the directory of a make_profile."""
        machine, _, system = chost.partition("-")
        parts = make_profile.parts if make_profile else ()
        arch = _ARCHES.get(machine, f"{machine}_hardfp" if system.endswith("hf") else machine)
        return cls(arch, frozenset(variant for variant, folder in _VARIANTS.items() if folder in parts))


def find_stage3s(folder: Path, kind: Kind) -> tuple[Path, ...]:
    """Return the stage3s of a kind in a directory, the newest first; none if it cannot be read."""
    return tuple(path for _, path in sorted(_find(folder, kind), reverse=True))


def _find(folder: Path, kind: Kind) -> Iterator[tuple[str, Path]]:
    try:
        paths = list(folder.iterdir())
    except OSError:  # a directory that is missing, or belongs to another user, has no stage3 for us
        return
    for path in paths:
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            variants = frozenset(match["variants"].split("-")) & _VARIANTS.keys()
            if (match["arch"], variants) == (kind.arch, kind.variants):
                yield match["date"], path
