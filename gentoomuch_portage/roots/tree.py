"""What is in a root, entry by entry, in an order and a form that depend on its content alone."""

import os
import stat
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.containers.standing import UNFINISHED
from gentoomuch_portage.roots.laying import DROPPED, KEPT

_EMPTY = frozenset({"dev", "proc", "sys", "run", "tmp", "var/tmp"})
"""Folders whose content belongs to a machine that runs, not to what it is made of."""
_KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}


class Told(NamedTuple):
    """One entry of a root."""

    info: tarfile.TarInfo
    path: Path


def entries(root: Path, *, epoch: int | None, below: str = ".", only: Collection[str] | None = None) -> Iterator[Told]:
    """Every entry, sorted, the root itself first; names are ``./usr/bin``.

    What is mounted below is left out, and so are sockets, pipes and devices, which no archive of ours may hold.

    Args:
        epoch: seconds since 1970; what was changed later is told to be of then. Source: the specification of
            SOURCE_DATE_EPOCH, reproducible-builds.org.
        below: the prefix in the root, where there is one.
        only: paths below the root; with them come the folders above them.
    """
    wanted = None if only is None else _with_parents(only)
    emptied = frozenset(str(Path(below, name)) for name in _EMPTY)
    device = root.stat().st_dev
    seen: dict[tuple[int, int], str] = {}
    for path in _walk(root, root, device, emptied, wanted):
        told = _told(root, path, epoch, seen)
        if told is not None:
            yield told


def _with_parents(only: Collection[str]) -> frozenset[str]:
    return frozenset(str(above) for path in only for above in (Path(path), *Path(path).parents))


def _walk(
    root: Path, folder: Path, device: int, emptied: Collection[str], wanted: Collection[str] | None
) -> Iterator[Path]:
    yield folder
    name = str(folder.relative_to(root))
    if name in emptied or folder.stat().st_dev != device:
        return
    with os.scandir(folder) as found:
        below = sorted(found, key=lambda one: os.fsencode(one.name))
    for one in below:
        path = folder / one.name
        if one.name == UNFINISHED or (wanted is not None and str(path.relative_to(root)) not in wanted):
            continue
        if one.is_dir(follow_symlinks=False):
            yield from _walk(root, path, device, emptied, wanted)
        else:
            yield path


def _told(root: Path, path: Path, epoch: int | None, seen: dict[tuple[int, int], str]) -> Told | None:
    state = path.lstat()
    kind = _KINDS.get(stat.S_IFMT(state.st_mode))
    if kind is None:
        return None
    name = "." if path == root else f"./{path.relative_to(root)}"
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, stat.S_IMODE(state.st_mode)
    info.uid, info.gid = state.st_uid, state.st_gid
    moment = int(state.st_mtime_ns // 10**9)
    info.mtime = moment if epoch is None else min(moment, epoch)
    if kind == tarfile.SYMTYPE:
        info.linkname, info.mode = str(path.readlink()), 0o777
    elif kind == tarfile.REGTYPE:
        first = seen.setdefault((state.st_dev, state.st_ino), name) if state.st_nlink > 1 else name
        if first != name:
            info.type, info.linkname = tarfile.LNKTYPE, first
        else:
            info.size = state.st_size
    if info.type in {tarfile.REGTYPE, tarfile.DIRTYPE}:
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes(path)}
    return Told(info, path)


def attributes(path: Path) -> Iterator[tuple[str, str]]:
    """The extended attributes that come along, sorted; their bytes as tarfile has them in text."""
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if name.startswith(KEPT) and not name.startswith(DROPPED):
            yield name, os.getxattr(path, name, follow_symlinks=False).decode("utf-8", "surrogateescape")
