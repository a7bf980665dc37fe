"""The names that mean something in a .gentoo folder; nothing else of it is opened."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.errors import BadFolder, NoFolder
from gentoomuch_portage.dotgentoo.package_files import FILES
from gentoomuch_portage.dotgentoo.safe_read import Raw, Reader, about, place

NAME = ".gentoo"
_KNOWN = frozenset({*FILES, "overlays", "env"})
_NO_CATEGORY = frozenset({"metadata", "profiles", "eclass", "licenses", "scripts", "patches"})
"""Directories of a repository that we do not read: the repository of the package is made by us."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a folder that mean something, as they were read."""

    path: Path
    raws: Mapping[str, Raw]
    """By path below the folder, sorted by code point."""
    unread: tuple[str, ...]
    """What else lies in the folder, sorted."""

    def below(self, name: str) -> list[Raw]:
        """The files at and below a name."""
        return [raw for path, raw in self.raws.items() if path == name or path.startswith(f"{name}/")]

    @property
    def ebuilds(self) -> list[Raw]:
        """All ebuilds."""
        return [raw for path, raw in self.raws.items() if path.endswith(".ebuild") and path.count("/") == 2]

    def place(self, raw: Raw) -> str:
        """The path of a file, as errors name it."""
        return place(self.path, raw.name)

    def refuse(self, name: str, what: str, *, remedy: str = "") -> BadFolder:
        """An error about a path below the folder."""
        return about(self.path, name, what, remedy=remedy)


def find(path: Path) -> Path:
    """The .gentoo folder that a path means: itself, or the one in it.

    Raises:
        NoFolder: neither.
    """
    absolute = Path(os.path.normpath(path.absolute()))
    for one in (absolute, absolute / NAME):
        if one.name == NAME and (one.is_dir() or one.is_symlink()):
            return one
    raise NoFolder(path)


def lay_out(path: Path) -> Layout:
    """Read the files of a folder.

    Args:
        path: the folder named .gentoo itself.

    Raises:
        BadFolder: one is too large or no plain file; or a package.* has a name that means nothing.
    """
    reader = Reader(path)
    raws: dict[str, Raw] = {}
    unread: list[str] = []
    with reader.opened("") as top:
        for name, seen in reader.names("", top):
            found = {raw.name: raw for raw in _meant(reader, name, seen, top)}
            raws |= found
            if not found and name not in _KNOWN:
                unread.append(name)
    return Layout(path, dict(sorted(raws.items())), tuple(unread))


def _meant(reader: Reader, name: str, seen: os.stat_result, top: int) -> Iterator[Raw]:
    """The files of one name of the folder that mean something."""
    if name in _KNOWN:
        yield from reader.below(name, seen, top)
    elif name.startswith("package."):
        raise about(reader.top, name, "a name that means nothing here", remedy=f"one of: {' '.join(FILES)}")
    elif stat.S_ISLNK(seen.st_mode):
        raise about(reader.top, name, "it is a link", remedy="put what it means there")
    elif stat.S_ISDIR(seen.st_mode) and name not in _NO_CATEGORY:
        with reader.opened(name, top) as category:
            for package, its in reader.names(name, category):
                if stat.S_ISDIR(its.st_mode) or stat.S_ISLNK(its.st_mode):
                    yield from _package(reader, f"{name}/{package}", category)


def _package(reader: Reader, name: str, category: int) -> Iterator[Raw]:
    """The ebuilds, the Manifest and files/ of a directory; nothing of one without an ebuild."""
    with reader.opened(name, category) as number:
        held = reader.names(name, number)
        if any(below.endswith(".ebuild") for below, _ in held):
            for below, its in held:
                if below.endswith(".ebuild") or below in {"Manifest", "files"}:
                    yield from reader.below(f"{name}/{below}", its, number)
