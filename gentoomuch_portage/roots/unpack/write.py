"""Lay entries of an archive below a folder that is held open: no path is walked through a link, ever."""

import errno
import os
import shutil
import stat
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from gentoomuch_portage.fs import within
from gentoomuch_portage.roots.unpack.entries import OPAQUE, WHITEOUT, Entry, moment

KEPT = ("user.", "security.capability")
"""Beginnings of the attributes that come along; the others are this machine's affair, as SELinux's labels."""
DROPPED = ("user.overlay.",)
"""What overlayfs would take for its own."""
_XATTR = "SCHILY.xattr."


def lay(top: int, entry: Entry, content: IO[bytes] | None) -> None:
    """Put one entry in its place, which is made free for it.

    Args:
        top: a descriptor of the folder that is filled.
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
                dress(number, info)
        elif info.issym():
            os.symlink(info.linkname, name, dir_fd=at)
            _own(name, info, at)
            os.utime(name, ns=_times(info), dir_fd=at, follow_symlinks=False)
        elif info.islnk():
            _link(top, entry.target, at, name)
        else:
            os.mkfifo(name, 0o600, dir_fd=at)
            _own(name, info, at)
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
            raise OSError(0, "a hard link to what is no plain file")
        os.link(target[-1], name, src_dir_fd=there, dst_dir_fd=at, follow_symlinks=False)


def clear(at: int, name: str) -> None:
    """Make room: a later entry takes the place of an earlier one."""
    try:
        seen = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(seen.st_mode):
        shutil.rmtree(name, dir_fd=at)
    else:
        os.unlink(name, dir_fd=at)


def white_out(top: int, path: tuple[str, ...]) -> None:
    """Do what an entry of a layer says that removes something; source: the OCI image specification."""
    *above, name = path
    try:
        with within(top, tuple(above)) as at:
            if name == OPAQUE:
                with os.scandir(at) as found:
                    for inner in [one.name for one in found]:
                        clear(at, inner)
            else:
                clear(at, _plain(name.removeprefix(WHITEOUT)))
    except FileNotFoundError:
        return  # what is removed was never there


def _plain(name: str) -> str:
    if name in {"", ".", ".."}:
        raise OSError(0, "a whiteout of no name")
    return name


def dress(number: int, info: tarfile.TarInfo) -> None:
    """Give an open file or folder its owner, mode, attributes and times, in an order in which none undoes another."""
    _own(number, info)
    os.chmod(number, info.mode & 0o7777)  # behind chown, which takes setuid away
    for key, value in info.pax_headers.items():
        name = key.removeprefix(_XATTR)
        if key != name and name.startswith(KEPT) and not name.startswith(DROPPED):
            os.setxattr(number, name, value.encode("utf-8", "surrogateescape"))
    os.utime(number, ns=_times(info))


def _own(what: int | str, info: tarfile.TarInfo, at: int | None = None) -> None:
    """Give it to its owner; of owners that have no number here, it stays ours."""
    try:
        if at is None:
            os.chown(what, info.uid, info.gid)
        else:
            os.chown(what, info.uid, info.gid, dir_fd=at, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL or os.getuid() == 0 == _first_number():
            raise


def _first_number() -> int:
    """The number that our root has outside; 0 where it is the machine's. Source: user_namespaces(7)."""
    return int(Path("/proc/self/uid_map").read_text(encoding="utf-8").split()[1])


def _times(info: tarfile.TarInfo) -> tuple[int, int]:
    changed = int(moment(info) * 10**9)
    return changed, changed
