"""Lay the mounts of a box, in a mount namespace of its own.

Squashfs images on loop devices, mounted before a box's namespaces are made: only the machine's root can do that.
"""

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import NoneType, UnionType

from gentoomuch_portage.containers import linux, private_files
from gentoomuch_portage.containers.spec import (
    DEVICES,
    HIDDEN,
    SHUT,
    Bind,
    Box,
    Dev,
    Link,
    Mount,
    Overlay,
    Proc,
    Squashfs,
    Tmpfs,
)

_DEV_LINKS = {
    "ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}  # fmt: skip
_QUIET = linux.NOSUID | linux.NODEV


def lay(box: Box, without: type | UnionType = NoneType) -> Path:
    """Lay the mounts of a box below a folder; the folder.

    Args:
        without: kinds of mounts for which only a place is made.

    Raises:
        OSError: the kernel refuses one; it names the place.
    """
    if box.disk:  # what is written is kept in memory of that size
        _mount("tmpfs", _folder(Path(box.run, "upper")), _QUIET, f"size={box.disk},mode=0755")
    new = _folder(Path(box.run, "root"))
    _mount("tmpfs", new, _QUIET, "mode=0755")
    for one in box.mounts:
        at = within(new, one.target)
        if isinstance(one, without):
            _folder(at)
        else:
            lay_one(one, at, f",size={box.disk}" if box.disk else "")
    return new


def within(new: Path, target: str) -> Path:
    """Where a path of the box lies outside of it; a link in the box leads nowhere but into the box.

    Raises:
        OSError: links lead in a circle.
    """
    at, rest, links = new, [part for part in target.split("/") if part], 0
    while rest:
        part = rest.pop(0)
        if part == "..":
            at = at if at == new else at.parent
            continue
        at /= part
        if at.is_symlink():
            links += 1
            if links > 40:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(at))
            told = os.readlink(at)
            at = new if told.startswith("/") else at.parent
            rest[:0] = [part for part in told.split("/") if part not in {"", "."}]
    return at


def lay_one(one: Mount, at: Path, limit: str = "") -> None:
    """Lay one mount.

    Args:
        limit: further options of one in memory, each behind a comma.

    Raises:
        OSError: the kernel refuses it.
    """
    match one:
        case Link():
            _folder(at.parent)
            at.symlink_to(one.source)
        case Bind():
            _bind(Path(one.source), at, writable=one.writable)
        case Overlay():
            _overlay(one, at)
        case Squashfs():
            _bind(Path(one.place if os.path.ismount(one.place) else one.source), at, writable=False)
        case Tmpfs():
            _mount("tmpfs", _folder(at), _QUIET, f"mode={one.mode:o}{limit}")
        case Dev():
            _dev(at)
        case Proc():
            _proc(at)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _mount(kind: str, at: Path, flags: int, data: str = "") -> None:
    linux.mount(kind, str(at), kind, flags, data)


def _bind(source: Path, at: Path, *, writable: bool, devices: bool = False) -> None:
    if source.is_dir():
        _folder(at)
    elif not os.path.lexists(at):
        _folder(at.parent)
        at.touch()
    linux.mount(str(source), str(at), "", linux.BIND | linux.REC)
    linux.restrict(str(at), linux.NOSUID | (0 if devices else linux.NODEV) | (0 if writable else linux.RDONLY))


def _proc(at: Path) -> None:
    _mount("proc", _folder(at), _QUIET | linux.NOEXEC)
    for name in SHUT:
        if (at / name).exists():
            _bind(at / name, at / name, writable=False)
    for name in HIDDEN:
        _hide(at / name)


def _hide(path: Path) -> None:
    if path.is_dir():
        _mount("tmpfs", path, _QUIET | linux.NOEXEC | linux.RDONLY)
    elif path.exists():
        _bind(Path("/dev/null"), path, writable=False)


def _overlay(one: Overlay, at: Path) -> None:
    upper = _folder(Path(one.upper))
    work = _folder(Path(f"{one.upper}.work"))
    seen = Path(one.source).stat()
    upper.chmod(seen.st_mode & 0o7777)
    with suppress(OSError):  # an owner without a number in the box could not write there anyway
        os.chown(upper, seen.st_uid, seen.st_gid)
    private_files.hide(one)
    layers = ((name, _escaped(str(path))) for name, path in (("lower", one.source), ("upper", upper), ("work", work)))
    _mount("overlay", _folder(at), linux.NODEV, ",".join(f"{name}dir={path}" for name, path in layers) + ",userxattr")


def _escaped(path: str) -> str:
    """A path as overlayfs wants it among its options."""
    return "".join(f"\\{sign}" if sign in "\\,:" else sign for sign in path)


def _dev(at: Path) -> None:
    _mount("tmpfs", _folder(at), linux.NOSUID, "mode=0755")
    for name in DEVICES:
        device = Path("/dev", name)
        if device.exists():
            _bind(device, at / name, writable=True, devices=True)
    _mount("devpts", _folder(at / "pts"), linux.NOSUID | linux.NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    _mount("tmpfs", _folder(at / "shm"), _QUIET, "mode=1777")
    for name, target in _DEV_LINKS.items():
        (at / name).symlink_to(target)


_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
_TRIES = 8
"""Between the question for a free device and its taking, somebody else may have it."""


def mount_images(images: Iterable[Squashfs]) -> None:
    """Mount images in a mount namespace of our own; where it cannot be done, their sources are taken instead.

    The devices are given back by the kernel with the last process of the namespace.
    """
    images = tuple(images)
    if not images or os.geteuid() or not Path("/dev/loop-control").exists():
        return
    linux.unshare(linux.NEWNS)
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    for one in images:
        with contextlib.suppress(OSError), _device(Path(one.image)) as device:
            Path(one.place).mkdir(parents=True, exist_ok=True)
            flags = linux.RDONLY | linux.NOSUID | linux.NODEV
            linux.mount(device, one.place, "squashfs", flags)


@contextlib.contextmanager
def _device(image: Path) -> Iterator[str]:
    """A loop device of an image, held open until it is mounted. Source: loop(4), linux/loop.h."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    backing = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    flags, name = _READ_ONLY | _AUTOCLEAR, os.fsencode(image)[:63]
    told = struct.pack("II 5Q 4I 64s", backing, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, name)
    try:
        for left in reversed(range(_TRIES)):
            device = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            number = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(number, _CONFIGURE, told.ljust(304, b"\0"))
                yield device
                return
            except OSError as error:
                if error.errno != errno.EBUSY or not left:
                    raise
            finally:
                os.close(number)
    finally:
        os.close(backing)
        os.close(control)
