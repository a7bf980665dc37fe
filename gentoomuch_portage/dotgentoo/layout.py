# SPDX-License-Identifier: GPL-2.0-or-later
"""The known names in a .gentoo directory; other files are not opened."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.errors import no_folder
from gentoomuch_portage.dotgentoo.package_files import FILES
from gentoomuch_portage.dotgentoo.safe_read import Raw, Reader, display_path, path_error
from gentoomuch_portage.errors import BadFile

NAME = ".gentoo"
_KNOWN = frozenset({*FILES, "overlays", "env"})
_NO_CATEGORY = frozenset({"metadata", "profiles", "eclass", "licenses", "scripts", "patches"})
"""Directories of repositories that are not read: we generate the repository of the package."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The known files of a .gentoo directory with their content."""

    path: Path
    raws: Mapping[str, Raw]
    """Path below the directory -> file, sorted by code point."""
    unread: tuple[str, ...]
    """Other names in the directory, sorted."""

    def below(self, name: str) -> list[Raw]:
        """Return the files at and below a name."""
        return [raw for path, raw in self.raws.items() if path == name or path.startswith(f"{name}/")]

    @property
    def ebuilds(self) -> list[Raw]:
        """Return all ebuilds."""
        return [raw for path, raw in self.raws.items() if path.endswith(".ebuild") and path.count("/") == 2]

    def place(self, raw: Raw) -> str:
        """Return the path of a file for messages."""
        return display_path(self.path, raw.name)

    def error(self, name: str, what: str, *, hint: str = "") -> BadFile:
        """Return an error about a path below the directory."""
        return path_error(self.path, name, what, hint=hint)


def find_folder(path: Path) -> Path:
    """Return the .gentoo directory at a path or in it.

    Raises:
        UsageError[no-dotgentoo]: neither exists.
    """
    absolute = Path(os.path.normpath(path.absolute()))
    for candidate in (absolute, absolute / NAME):
        if candidate.name == NAME and (candidate.is_dir() or candidate.is_symlink()):
            return candidate
    raise no_folder(path)


def read_layout(path: Path) -> Layout:
    """Read the known files of a .gentoo directory.

    Args:
        path: the .gentoo directory itself.

    Raises:
        BadFile[bad-dotgentoo]: a file is too large or not regular, or a package.* file has an unknown name.
    """
    reader = Reader(path)
    raws: dict[str, Raw] = {}
    unread: list[str] = []
    with reader.opened("") as top:
        for name, seen in reader.names("", top):
            files = {raw.name: raw for raw in _read_name(reader, name, seen, top)}
            raws |= files
            if not files and name not in _KNOWN:
                unread.append(name)
    return Layout(path, dict(sorted(raws.items())), tuple(unread))


def _read_name(reader: Reader, name: str, seen: os.stat_result, top: int) -> Iterator[Raw]:
    """Read the known files at or below a name."""
    if name in _KNOWN:
        yield from reader.below(name, seen, top)
    elif name.startswith("package."):
        raise path_error(reader.top, name, "unknown file", hint=f"use one of: {' '.join(FILES)}")
    elif stat.S_ISLNK(seen.st_mode):
        raise path_error(reader.top, name, "links are not allowed", hint="replace it by a copy of its target")
    elif stat.S_ISDIR(seen.st_mode) and name not in _NO_CATEGORY:
        with reader.opened(name, top) as category:
            for package, its in reader.names(name, category):
                if stat.S_ISDIR(its.st_mode) or stat.S_ISLNK(its.st_mode):
                    yield from _read_package(reader, f"{name}/{package}", category)


def _read_package(reader: Reader, name: str, category: int) -> Iterator[Raw]:
    """Read the ebuilds, Manifest and files/ of a package directory; nothing without an ebuild."""
    with reader.opened(name, category) as number:
        held = reader.names(name, number)
        if any(below.endswith(".ebuild") for below, _ in held):
            for below, its in held:
                if below.endswith(".ebuild") or below in {"Manifest", "files"}:
                    yield from reader.below(f"{name}/{below}", its, number)
