# SPDX-License-Identifier: GPL-2.0-or-later
"""Move finished binary packages to PKGDIR and add them to its index."""

import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import portage.gpkg
import portage.versions
import portage.xpak
from portage import create_trees

from gentoomuch_portage import fs
from gentoomuch_portage.portage_adapter.patching import environment
from gentoomuch_portage.portage_adapter.trees import find_target

Take = Callable[[Path, str, int], int]
"""``take(file, cpv, build_id)`` moves a package to PKGDIR and returns its BUILD_ID there."""


def taker(env: Mapping[str, str]) -> Take:
    """Return a function that moves packages to one PKGDIR.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile, and optionally PKGDIR.

    Raises:
        MachineError[disk-full], ReadOnly: by the function as well; PKGDIR cannot be written.
    """
    with environment(env):
        trees = create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
    tree = find_target(trees)["bintree"]
    with fs.disk_errors(tree.pkgdir):
        tree.populate()

    def take(file: Path, cpv: str, build_id: int) -> int:
        with environment(env), fs.disk_errors(tree.pkgdir):
            return _taken(tree, file, cpv, build_id)

    return take


def _taken(tree: Any, file: Path, cpv: str, build_id: int) -> int:
    numbered = bool(build_id) and "binpkg-multi-instance" in tree.settings.features
    folder = Path(tree.pkgdir, cpv.split("/")[0], *([_package(cpv)] if numbered else []))
    fs.ensure(folder)
    # The name is the same each time, so a retry after a kill leaves no copy behind.
    fresh = folder / f".{hashlib.sha256(bytes(file)).hexdigest()[:16]}.{file.name}"
    try:
        place = _find_linked(fresh) or _stored(tree, file, fresh, cpv, build_id if numbered else 0)
        given = int(place.name[: -len(_suffix(place))].rpartition("-")[2]) if numbered else build_id
        instance = portage.versions._pkg_str(
            cpv, metadata={"BUILD_ID": str(given), "PATH": str(place)}, settings=tree.settings
        )
        if tree.inject(instance, current_pkg_path=str(place), allocated_pkg_path=str(place)) is None:
            place.unlink()
            raise ValueError(f"{file.name} is not a binary package that Portage accepts")
    finally:
        fresh.unlink(missing_ok=True)
    file.unlink()
    return given


def _find_linked(fresh: Path) -> Path | None:
    """Return the package that this copy became before a kill, which the index may lack."""
    if not fresh.exists():
        return None
    return next((path for path in fresh.parent.iterdir() if path != fresh and path.samefile(fresh)), None)


def _stored(tree: Any, file: Path, fresh: Path, cpv: str, build_id: int) -> Path:
    """Copy a package to PKGDIR, and return its path.

    Args:
        fresh: the copy until it is complete.
        build_id: 0 if its name has none.
    """
    with fs.disk_errors(fresh):
        _copied(file, fresh)
    place = fresh.with_name(_name(cpv, build_id, file))
    if not build_id:
        fresh.rename(place)
        return place
    while not _linked(fresh, place):
        if filecmp.cmp(fresh, place, shallow=False):
            return place  # a killed run had added it, but not removed the file
        build_id += 1  # another package has this BUILD_ID already
        place = fresh.with_name(_name(cpv, build_id, file))
        if not place.exists():
            _renumber(tree, fresh, cpv, build_id)
    return place


def _package(cpv: str) -> str:
    return str(portage.versions.cpv_getkey(cpv)).split("/")[1]


def _name(cpv: str, build_id: int, file: Path) -> str:
    return f"{cpv.split('/')[1]}{f'-{build_id}' if build_id else ''}{_suffix(file)}"


def _suffix(file: Path) -> str:
    return next(ending for ending in (".gpkg.tar", ".tbz2", ".xpak") if file.name.endswith(ending))


def _copied(file: Path, fresh: Path) -> None:
    fresh.unlink(missing_ok=True)
    number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as read, fresh.open("xb") as written:
        shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(written.fileno())


def _linked(fresh: Path, place: Path) -> bool:
    """Give a complete package its final name in one step; return False if the name exists."""
    try:
        os.link(fresh, place)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if place.exists():
            return False
        fresh.rename(place)
    return True


def _renumber(tree: Any, file: Path, cpv: str, build_id: int) -> None:
    """Write another BUILD_ID into a package, because another package has its old one."""
    if file.name.endswith(".gpkg.tar"):
        package = portage.gpkg.gpkg(tree.settings, cpv, str(file))
        metadata = {**package.get_metadata(), "BUILD_ID": f"{build_id}\n".encode()}
        package.update_metadata(metadata, new_basename=f"{cpv}-{build_id}", force=True)
    else:
        archive = portage.xpak.tbz2(str(file))
        archive.recompose_mem(portage.xpak.xpak_mem({**archive.get_data(), b"BUILD_ID": f"{build_id}\n".encode()}))


def read_xpak(path: Path) -> dict[str, bytes]:
    """Return the metadata of a binary package in the format xpak."""
    fields = portage.xpak.tbz2(str(path)).get_data() or {}
    return {name.decode(): value for name, value in fields.items()}
