"""Take finished binary packages out of a box, and nothing else: what came from there is looked at first."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import binpkgs
from gentoomuch_portage.binpkgs import BadBinpkg, Source
from gentoomuch_portage.containers.view import PACKAGES
from gentoomuch_portage.portage_adapter.taking import Take

_SUFFIXES = (".gpkg.tar", ".tbz2", ".xpak")


class Taken(NamedTuple):
    """A package that has come out of a box."""

    cpv: str
    built: int
    """The BUILD_ID that it had in the box; 0 where it had none."""
    build_id: int
    """The one that it has now."""


def take_over(run: Path, taker: Callable[[], Take], refused: Callable[[str], object]) -> list[Taken]:
    """Move what a box has finished into PKGDIR; half-written files stay behind.

    Args:
        run: the box's own folder.
        taker: makes what takes a package over; called where there is one.
        refused: hears of each file that is no honest package.
    """
    found = sorted(_finished(run / PACKAGES))
    if not found:
        return []
    take = taker()
    taken = []
    for file in found:
        try:
            cpv, build_id = _told(file, run / PACKAGES)
            taken.append(Taken(cpv, build_id, take(file, cpv, build_id)))
        except (BadBinpkg, ValueError, OSError) as error:
            refused(f"{file.name} was built in the container and is not taken over: {error}")
    return taken


def _finished(folder: Path) -> Iterator[Path]:
    for above, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not Path(above, name).is_symlink()]
        for name in names:
            file = Path(above, name)
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                seen = file.lstat()
                if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 and seen.st_size:
                    yield file


def _told(file: Path, above: Path) -> tuple[str, int]:
    """The cpv and BUILD_ID that a package tells, which its name has to bear out.

    Raises:
        BadBinpkg: it is no package.
        ValueError: it is not what its name says.
    """
    number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        source = Source(str(file), os.fstat(number).st_size, lambda offset, length: os.pread(number, length, offset))
        told = binpkgs.read(source, ("CATEGORY", "PF", "BUILD_ID"))
    finally:
        os.close(number)
    category, name, build_id = told.get("CATEGORY", ""), told.get("PF", ""), told.get("BUILD_ID", "") or "0"
    stem = next(file.name.removesuffix(suffix) for suffix in _SUFFIXES if file.name.endswith(suffix))
    if (
        file.relative_to(above).parts[0] != category
        or stem not in {name, f"{name}-{build_id}"}
        or not build_id.isdigit()
    ):
        raise ValueError(f"it says that it is {category}/{name}-{build_id}")
    return f"{category}/{name}", int(build_id)
