# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare two builds of one package: the files that they install, and their metadata."""

import hashlib
import tarfile
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.audit import package_files
from gentoomuch_portage.portage_adapter import pkgdir_add

VOLATILE = ("BUILD_ID", "BUILD_TIME", "environment.bz2")
"""Metadata that differs between equal builds. Source: Portage writes the time of the build to each of them."""
_CHUNK = 1 << 20
_TYPES = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "file", tarfile.REGTYPE: "file"}


class Facts(NamedTuple):
    """What is compared of a file; its time is not."""

    type: str
    """``directory``, ``link``, ``file`` or ``special``."""
    mode: str
    owner: str
    target: str
    """Of a link."""
    content: str
    """The sha256 of a file."""


class Difference(NamedTuple):
    """A file or a field of metadata in which two builds differ."""

    name: str
    """Of a file below the root, with a slash first, or of a field of metadata."""
    kinds: tuple[str, ...]
    """``only-first``, ``only-second``, or what differs: ``type``, ``mode``, ``owner``, ``target``, ``content``."""


def compare_packages(first: Path, second: Path) -> tuple[Difference, ...]:
    """Return the differences of two packages, sorted by name; those of metadata last.

    Raises:
        BadBinpkg: one of them is damaged.
    """
    files = _compare(_read_image(first), _read_image(second))
    return (*files, *_compare(_read_metadata(first), _read_metadata(second)))


def _compare(first: dict[str, Facts], second: dict[str, Facts]) -> tuple[Difference, ...]:
    differences = []
    for name in sorted(first.keys() | second.keys()):
        if name not in second:
            differences.append(Difference(name, ("only-first",)))
        elif name not in first:
            differences.append(Difference(name, ("only-second",)))
        elif kinds := tuple(field for field in Facts._fields if _differ(field, first[name], second[name])):
            differences.append(Difference(name, kinds))
    return tuple(differences)


def _differ(field: str, first: Facts, second: Facts) -> bool:
    return bool(getattr(first, field) != getattr(second, field))


def _read_image(path: Path) -> dict[str, Facts]:
    files: dict[str, Facts] = {}
    with package_files.open_archive(path) as archive:
        for member in archive:
            name = f"/{member.name.removeprefix('./').removeprefix('image').strip('/')}"
            files[name] = _read_facts(archive, member, files)
    return files


def _read_metadata(path: Path) -> dict[str, Facts]:
    if not path.name.endswith(".gpkg.tar"):
        fields = pkgdir_add.read_xpak(path)
        return {
            name: Facts("file", "", "", "", hashlib.sha256(value).hexdigest())
            for name, value in fields.items()
            if name not in VOLATILE
        }
    with package_files.open_archive(path, "metadata") as archive:
        members = ((member.name.rpartition("/")[2], member) for member in archive)
        return {name: _read_facts(archive, member, {}) for name, member in members if name not in VOLATILE}


def _read_facts(archive: tarfile.TarFile, member: tarfile.TarInfo, earlier: dict[str, Facts]) -> Facts:
    owner = f"{member.uid} {member.uname} {member.gid} {member.gname}"
    kind = _TYPES.get(member.type, "special")
    if member.islnk():  # a further name of a file that came earlier
        name = f"/{member.linkname.removeprefix('./').removeprefix('image').strip('/')}"
        content = earlier[name].content if name in earlier else ""
        return Facts(kind, f"{member.mode:o}", owner, "", content)
    source = archive.extractfile(member) if member.isreg() else None
    if source is None:
        return Facts(kind, f"{member.mode:o}", owner, member.linkname, "")
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
    return Facts(kind, f"{member.mode:o}", owner, "", digest.hexdigest())
