"""Put finished binary packages into PKGDIR and its index."""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
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

    wanted = _pkg_str(cpv, metadata={"BUILD_ID": str(build_id), "PATH": str(file)}, settings=tree.settings)
    if not build_id or "binpkg-multi-instance" not in tree.settings.features:
        place, given = Path(tree.pkgdir, *_below(file, cpv)), build_id
        place.parent.mkdir(parents=True, exist_ok=True)
    else:
        # Reserves the name with an empty file, which nobody takes for a package.
        named, given = tree._allocate_filename_multi(wanted)
        place = Path(named)
    try:
        if given != build_id:
            _renumber(tree, file, cpv, given)
        fresh = place.with_name(f".{place.name}.{os.getpid()}")
        shutil.copyfile(file, fresh)
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.rename(place)
    except BaseException:
        with suppress(OSError):
            if not place.stat().st_size:
                place.unlink()
        raise
    numbered = _pkg_str(cpv, metadata={"BUILD_ID": str(given), "PATH": str(place)}, settings=tree.settings)
    if tree.inject(numbered, current_pkg_path=str(place), allocated_pkg_path=str(place)) is None:
        place.unlink()
        raise ValueError(f"{file.name} is no binary package that Portage takes")
    file.unlink()
    return int(given or 0)


def _below(file: Path, cpv: str) -> tuple[str, str]:
    category, name = cpv.split("/")
    return category, name + "".join(suffix for suffix in (".gpkg.tar", ".tbz2", ".xpak") if file.name.endswith(suffix))


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
