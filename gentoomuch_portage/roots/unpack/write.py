# SPDX-License-Identifier: GPL-2.0-or-later
"""Create entries of an archive below an open directory, without following links."""

import errno
import os
import shutil
import stat
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from gentoomuch_portage.fs import within
from gentoomuch_portage.roots.unpack.entries import OPAQUE, WHITEOUT, Entry, modification_time

KEPT_XATTRS = ("user.", "security.capability")
"""Prefixes of attributes that are unpacked; others, such as SELinux labels, belong to a machine."""
DROPPED_XATTRS = ("user.overlay.",)
"""Prefixes of attributes that overlayfs would interpret."""
_XATTR = "SCHILY.xattr."


def write_entry(top: int, entry: Entry, content: IO[bytes] | None) -> None:
    """Create one entry, and remove an earlier one with the same path.

    Args:
        top: a descriptor of the directory.
        content: of a plain file.
    """
    info = entry.info
    if info.isdir():
        _make_folder(top, entry.path)
        return
    *above, name = entry.path
    with within(top, tuple(above), make=True) as at:
        clear(at, name)
        if content is not None:
            number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=at)
            with os.fdopen(number, "wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
                out.flush()
                set_metadata(number, info)
        elif info.issym():
            os.symlink(info.linkname, name, dir_fd=at)
            _chown(name, info, at)
            os.utime(name, ns=_times(info), dir_fd=at, follow_symlinks=False)
        elif info.islnk():
            _link(top, entry.target, at, name)
        else:
            os.mkfifo(name, 0o600, dir_fd=at)
            _chown(name, info, at)
            os.chmod(name, info.mode & 0o7777, dir_fd=at)
            os.utime(name, ns=_times(info), dir_fd=at, follow_symlinks=False)


def _make_folder(top: int, path: tuple[str, ...]) -> None:
    if not path:
        return
    with within(top, path[:-1], make=True) as at:
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(path[-1], dir_fd=at, follow_symlinks=False).st_mode):
                os.unlink(path[-1], dir_fd=at)
        with suppress(FileExistsError):
            os.mkdir(path[-1], 0o700, dir_fd=at)


def _link(top: int, target: tuple[str, ...], at: int, name: str) -> None:
    with within(top, target[:-1]) as there:
        if not stat.S_ISREG(os.stat(target[-1], dir_fd=there, follow_symlinks=False).st_mode):
            raise OSError(0, "a hard link to a path that is not a plain file")
        os.link(target[-1], name, src_dir_fd=there, dst_dir_fd=at, follow_symlinks=False)


def clear(at: int, name: str) -> None:
    """Remove an entry that is to be replaced."""
    try:
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(name, dir_fd=at)
    else:
        os.unlink(name, dir_fd=at)


def apply_whiteout(top: int, path: tuple[str, ...]) -> None:
    """Remove the path of a whiteout. Source: the OCI image specification."""
    *above, name = path
    try:
        with within(top, tuple(above)) as at:
            if name == OPAQUE:
                with os.scandir(at) as scan:
                    for inner in [entry.name for entry in scan]:
                        clear(at, inner)
            else:
                clear(at, _plain(name.removeprefix(WHITEOUT)))
    except FileNotFoundError:
        return  # it does not exist


def _plain(name: str) -> str:
    if name in {"", ".", ".."}:
        raise OSError(0, "a whiteout without a name")
    return name


def set_metadata(number: int, info: tarfile.TarInfo) -> None:
    """Set owner, mode, attributes and times of an open file or directory, in an order that keeps all of them."""
    _chown(number, info)
    os.chmod(number, info.mode & 0o7777)  # after chown, which clears setuid
    for key, value in info.pax_headers.items():
        name = key.removeprefix(_XATTR)
        if key != name and name.startswith(KEPT_XATTRS) and not name.startswith(DROPPED_XATTRS):
            os.setxattr(number, name, value.encode("utf-8", "surrogateescape"))
    os.utime(number, ns=_times(info))


def _chown(path: int | str, info: tarfile.TarInfo, at: int | None = None) -> None:
    """Set the owner of an entry; an owner without an ID in this user namespace is ignored."""
    try:
        if at is None:
            os.chown(path, info.uid, info.gid)
        else:
            os.chown(path, info.uid, info.gid, dir_fd=at, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL or os.getuid() == 0 == _root_uid():
            raise


def _root_uid() -> int:
    """Return the ID of root outside of this user namespace; 0 for root of the machine. Source: user_namespaces(7)."""
    return int(Path("/proc/self/uid_map").read_text(encoding="utf-8").split()[1])


def _times(info: tarfile.TarInfo) -> tuple[int, int]:
    changed = int(modification_time(info) * 10**9)
    return changed, changed
