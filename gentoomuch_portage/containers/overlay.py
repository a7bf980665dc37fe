"""Lay a folder of the host into a box copy on write, around what an overlay cannot hold.

The kernel takes no overlay whose lower folder holds its upper one, nor, in a user namespace, one with other mounts
below. Such a folder becomes an empty one, and what is in it is laid piece by piece.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from gentoomuch_portage.containers.spec import Bind, Link, Mount, Overlay, Tmpfs


def copied(folder: Path, uppers: Path, apart: Collection[Path], target: Path | None = None) -> Iterator[Mount]:
    """A folder as it is, copy on write.

    Args:
        uppers: where the upper layers are put, each named by its folder.
        apart: paths that no overlay may hold; those below the folder are left out.
        target: where it stands in the box; in its own place by default.
    """
    target = target or folder
    if folder.is_symlink():
        yield Link(os.readlink(folder), str(target))
    elif folder.is_dir():
        if not any(one.is_relative_to(folder) for one in apart):
            yield Overlay(str(folder), str(target), str(uppers / _named(target)))
        elif folder not in apart:
            yield Tmpfs(str(target), folder.stat().st_mode & 0o7777)
            for below in sorted(folder.iterdir()):
                yield from copied(below, uppers, apart, target / below.name)
    elif folder.is_file():
        yield Bind(str(folder), str(target))


def _named(target: Path) -> str:
    return str(target).strip("/").replace("%", "%25").replace("/", "%") or "%"


def mounted(table: str = "/proc/self/mountinfo") -> tuple[Path, ...]:
    """Where something is mounted, outermost first. Source: proc_pid_mountinfo(5)."""
    lines = Path(table).read_bytes().splitlines()
    return tuple(Path(os.fsdecode(_OCTAL.sub(_byte, line.split()[4]))) for line in lines)


_OCTAL = re.compile(rb"\\([0-7]{3})")


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)])


def covers(mounts: Iterable[Mount], path: Path) -> bool:
    """Whether a path of the host is seen in a box as it is, or through a link of the host's."""
    nearest = _nearest(mounts, path)
    return isinstance(nearest, Link) or (isinstance(nearest, Bind | Overlay) and nearest.source == nearest.target)


def upper_of(mounts: Iterable[Mount], path: Path) -> Path | None:
    """Where the box's changes below a path of it are kept; None where it keeps none."""
    nearest = _nearest(mounts, path)
    return Path(nearest.upper) / path.relative_to(nearest.target) if isinstance(nearest, Overlay) else None


def written(mounts: Iterable[Mount], path: Path) -> Path | None:
    """Where on the host a path of the box is written for good; None where it is not."""
    nearest = _nearest(mounts, path)
    if not isinstance(nearest, Bind) or not nearest.writable:
        return None
    return Path(nearest.source) / path.relative_to(nearest.target)


def _nearest(mounts: Iterable[Mount], path: Path) -> Mount | None:
    above = [one for one in mounts if path.is_relative_to(one.target)]
    return max(above, key=lambda one: len(one.target), default=None)
