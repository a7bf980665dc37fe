# SPDX-License-Identifier: GPL-2.0-or-later
"""Mount a directory of the host copy on write, around what an overlay cannot contain.

The kernel rejects an overlay whose lower directory contains its upper one and, in a user namespace, one with other
mounts below. Such a directory becomes an empty one, and its entries are mounted one by one.
"""

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from gentoomuch_portage.containers.spec import Bind, Composed, Link, Mount, Overlay, Tmpfs


def mount_copy_on_write(
    folder: Path,
    uppers: Path,
    apart: Collection[Path],
    target: Path | None = None,
    *,
    search: bool = False,
    owners: str = "",
) -> Iterator[Mount]:
    """Yield the mounts of a directory as it is, copy on write.

    Args:
        uppers: the directory of the upper layers, each named by its target.
        apart: paths that no overlay may contain; those below the directory are left out.
        target: its path in the container; default: the same.
        search: hide what other users may not read.
        owners: a database of installed packages; what these own is not hidden.
    """
    target = target or folder
    try:
        status = folder.lstat()
        entries = sorted(folder.iterdir()) if stat.S_ISDIR(status.st_mode) and _contains(folder, apart) else []
    except OSError:
        return  # it was removed meanwhile, or this user may not read it
    if stat.S_ISLNK(status.st_mode):
        yield Link(os.readlink(folder), str(target))
    elif stat.S_ISDIR(status.st_mode):
        if search and not status.st_mode & stat.S_IXOTH:
            yield Tmpfs(str(target), stat.S_IMODE(status.st_mode))
        elif not _contains(folder, apart):
            yield Overlay(str(folder), str(target), upper_path(uppers, target), search, owners)
        elif folder not in apart:
            yield Tmpfs(str(target), stat.S_IMODE(status.st_mode))
            for below in entries:
                yield from mount_copy_on_write(below, uppers, apart, target / below.name, search=search, owners=owners)
    elif stat.S_ISREG(status.st_mode) and (not search or status.st_mode & stat.S_IROTH):
        yield Bind(str(folder), str(target), optional=True)


def _contains(folder: Path, apart: Collection[Path]) -> bool:
    return any(is_below(path, folder) for path in apart)


def is_below(path: Path, folder: Path) -> bool:
    """Return whether a path is a directory or below it, as text: each start of a container calls this 1000 times."""
    return f"{path}/".startswith(f"{str(folder).rstrip('/')}/")


def is_open(path: Path, top: Path) -> bool:
    """Return whether other users may enter every directory from ``top`` down to the one that holds ``path``."""
    try:
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents if parent.is_relative_to(top))
    except OSError:
        return False


def upper_path(uppers: Path, target: Path) -> str:
    """Return the upper layer of a directory of the container."""
    return str(uppers / (str(target).strip("/").replace("%", "%25").replace("/", "%") or "%"))


def mount_points(table: str = "/proc/self/mountinfo") -> tuple[Path, ...]:
    """Return all mount points, outermost first. Source: proc_pid_mountinfo(5)."""
    lines = Path(table).read_bytes().splitlines()
    return tuple(Path(os.fsdecode(_OCTAL.sub(_byte, line.split()[4]))) for line in lines)


def file_system(path: Path, table: str = "/proc/self/mountinfo") -> str:
    """Return the type of the file system that contains a path, or will; empty if the kernel's table lacks it."""
    existing = next(above for above in (path, *path.parents) if above.exists())
    device = existing.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}".encode()
    for line in Path(table).read_bytes().splitlines():
        fields, _, rest = line.partition(b" - ")
        if fields.split()[2] == wanted:
            return os.fsdecode(rest.split()[0])
    return ""


_OCTAL = re.compile(rb"\\([0-7]{3})")


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])


def is_visible(mounts: Iterable[Mount], path: Path) -> bool:
    """Return whether a container sees a path of the host as it is, or through a link of the host."""
    nearest = _find_nearest(mounts, path)
    return isinstance(nearest, Link) or (isinstance(nearest, Bind | Overlay) and nearest.source == nearest.target)


def find_upper(mounts: Iterable[Mount], path: Path) -> Path | None:
    """Return the directory that stores a container's changes below a path; None if it stores none."""
    nearest = _find_nearest(mounts, path)
    if not isinstance(nearest, Composed | Overlay) or not nearest.upper:
        return None
    return Path(nearest.upper) / path.relative_to(nearest.target)


def _find_nearest(mounts: Iterable[Mount], path: Path) -> Mount | None:
    below = f"{path}/"
    above = [mount for mount in mounts if below.startswith(f"{mount.target.rstrip('/')}/")]
    return max(above, key=lambda mount: len(mount.target), default=None)
