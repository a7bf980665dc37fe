"""Take finished binary packages out of a box, and nothing else: what came from there is looked at first.

What was merged in a box, read from outside: whatever lies there may have been put there by an ebuild.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.formats import BadBinpkg, Source
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.portage_adapter.pkgdir import Take

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
        told = formats.read(source, ("CATEGORY", "PF", "BUILD_ID"))
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


MOST = 4096
"""Bytes of a file of the database of installed packages that names or numbers something."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")
"""Source: PMS, names of categories and packages with their versions."""


def installed(vdb: Path | None) -> list[tuple[str, int]]:
    """cpv and BUILD_ID of packages, sorted; 0 where there is no number.

    Args:
        vdb: the box's changes to its database of installed packages; None where it made none.
    """
    found = []
    for category in _folders(vdb):
        for package in _folders(category):
            number = text(package / "BUILD_ID") or "0"
            if text(package / "PF") == package.name and number.isascii() and number.isdigit():
                found.append((f"{category.name}/{package.name}", int(number)))
    return found


def _folders(above: Path | None) -> Iterator[Path]:
    if above is not None:
        with suppress(OSError), os.scandir(above) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)


def text(file: Path, last: int = 0) -> str:
    """What a small plain file says, without blanks around it; empty where there is none, or no text.

    Args:
        last: of a larger file, so many bytes of its end.
    """
    with suppress(OSError, UnicodeDecodeError):
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            seen = os.fstat(number)
            if stat.S_ISREG(seen.st_mode) and (last or seen.st_size <= MOST):
                if last:
                    os.lseek(number, max(0, seen.st_size - last), os.SEEK_SET)
                return os.read(number, last or MOST).decode(errors="replace" if last else "strict").strip()
        finally:
            os.close(number)
    return ""
