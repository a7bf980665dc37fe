"""Put finished binary packages into PKGDIR and its index."""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.swap import environment

Take = Callable[[Path, str, int], int]
"""``take(file, cpv, build_id)`` moves a package into PKGDIR and returns the BUILD_ID that it has there."""


def taker(env: Mapping[str, str]) -> Take:
    """What takes packages over, for one PKGDIR.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile, PKGDIR where it is set.
    """
    import portage

    with environment(env):
        trees = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
    tree = trees[trees._target_eroot]["bintree"]
    tree.populate()

    def take(file: Path, cpv: str, build_id: int) -> int:
        with environment(env):
            return _taken(tree, file, cpv, build_id)

    return take


def _taken(tree: Any, file: Path, cpv: str, build_id: int) -> int:
    from portage.versions import _pkg_str

    numbered = build_id and "binpkg-multi-instance" in tree.settings.features
    folder = Path(tree.pkgdir, cpv.split("/")[0], *([_package(cpv)] if numbered else []))
    folder.mkdir(parents=True, exist_ok=True)
    # The same name each time: whoever is killed here and tries again leaves no copy behind.
    fresh = folder / f".{hashlib.sha256(bytes(file)).hexdigest()[:16]}.{file.name}"
    given = build_id
    try:
        _copied(file, fresh)
        place = folder / (_name(cpv, given, file) if numbered else _name(cpv, 0, file))
        while numbered and not _linked(fresh, place):
            given += 1  # somebody was faster with the one that it was built with
            place = folder / _name(cpv, given, file)
            if not place.exists():
                _renumber(tree, fresh, cpv, given)
        if not numbered:
            fresh.rename(place)
    finally:
        fresh.unlink(missing_ok=True)
    told = _pkg_str(cpv, metadata={"BUILD_ID": str(given), "PATH": str(place)}, settings=tree.settings)
    if tree.inject(told, current_pkg_path=str(place), allocated_pkg_path=str(place)) is None:
        place.unlink()
        raise ValueError(f"{file.name} is no binary package that Portage takes")
    file.unlink()
    return given


def _package(cpv: str) -> str:
    from portage.versions import cpv_getkey

    return str(cpv_getkey(cpv)).split("/")[1]


def _name(cpv: str, build_id: int, file: Path) -> str:
    suffix = next(one for one in (".gpkg.tar", ".tbz2", ".xpak") if file.name.endswith(one))
    return f"{cpv.split('/')[1]}{f'-{build_id}' if build_id else ''}{suffix}"


def _copied(file: Path, fresh: Path) -> None:
    fresh.unlink(missing_ok=True)
    number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as read, fresh.open("xb") as written:
        shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(written.fileno())


def _linked(fresh: Path, place: Path) -> bool:
    """Give a whole package its name, in one step; False where another one has it."""
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
    """Give a package another BUILD_ID: somebody was faster with the one that it was built with."""
    import portage.gpkg
    import portage.xpak

    if file.name.endswith(".gpkg.tar"):
        package = portage.gpkg.gpkg(tree.settings, cpv, str(file))
        metadata = {**package.get_metadata(), "BUILD_ID": f"{build_id}\n".encode()}
        package.update_metadata(metadata, new_basename=f"{cpv}-{build_id}", force=True)
    else:
        archive = portage.xpak.tbz2(str(file))
        archive.recompose_mem(portage.xpak.xpak_mem({**archive.get_data(), b"BUILD_ID": f"{build_id}\n".encode()}))
