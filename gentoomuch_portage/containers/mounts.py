# SPDX-License-Identifier: GPL-2.0-or-later
"""Mount the file systems of a container, in a mount namespace of its own.

Squashfs images are mounted through loop devices before the container's namespaces exist: only root of the machine can
do that.
"""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import NoneType, UnionType

from gentoomuch_portage.containers import linux
from gentoomuch_portage.containers.spec import (
    DEVICES,
    HIDDEN_PROC,
    READ_ONLY_PROC,
    Bind,
    Composed,
    ContainerSpec,
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


def mount_all(spec: ContainerSpec, without: type | UnionType = NoneType) -> Path:
    """Mount everything below ``RUN/root``, and return that directory.

    Args:
        without: types of mounts for which only the mount point is created.

    Raises:
        OSError: the kernel refuses a mount; the error has its target.
    """
    if spec.disk:  # changes are stored in memory of that size
        _mount("tmpfs", _make_directory(Path(spec.run, "upper")), _QUIET, f"size={spec.disk},mode=0755")
    new = _make_directory(Path(spec.run, "root"))
    _mount("tmpfs", new, _QUIET, "mode=0755")
    for mount in spec.mounts:
        target = resolve_within(new, mount.target)
        if isinstance(mount, without):
            _make_directory(target)
        else:
            mount_one(mount, target, f",size={spec.disk}" if spec.disk else "")
    return new


def resolve_within(new: Path, target: str) -> Path:
    """Return the path outside of a container for one in it; links in the container never lead out of it.

    Args:
        new: the root directory of the container.

    Raises:
        OSError: the links form a loop.
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
            link = os.readlink(at)
            at = new if link.startswith("/") else at.parent
            rest[:0] = [part for part in link.split("/") if part not in {"", "."}]
    return at


def mount_one(mount: Mount, target: Path, limit: str = "") -> None:
    """Mount one file system.

    Args:
        limit: more options of one in memory, each after a comma.

    Raises:
        OSError: the kernel refuses it.
    """
    match mount:
        case Link():
            if not os.path.lexists(target):  # a directory of the host may already contain it
                _make_directory(target.parent)
                target.symlink_to(mount.source)
        case Bind():
            _bind(Path(mount.source), target, writable=mount.writable, optional=mount.optional)
        case Composed():
            raise ValueError(f"{mount.target} was not composed before the container started")
        case Overlay():
            _overlay(mount, target)
        case Squashfs():
            _bind(Path(mount.place if os.path.ismount(mount.place) else mount.source), target, writable=False)
        case Tmpfs():
            _mount("tmpfs", _make_directory(target), _QUIET, f"mode={mount.mode:o}{limit}")
        case Dev():
            _dev(target)
        case Proc():
            _proc(target)


def _make_directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _mount(kind: str, at: Path, flags: int, data: str = "") -> None:
    linux.mount(kind, str(at), kind, flags, data)


def _bind(source: Path, at: Path, *, writable: bool, devices: bool = False, optional: bool = False) -> None:
    if source.is_dir():
        _make_directory(at)
    elif not os.path.lexists(at):
        _make_directory(at.parent)
        at.touch()
    try:
        linux.mount(str(source), str(at), "", linux.BIND | linux.REC)
    except FileNotFoundError:
        if not optional:
            raise
        at.unlink()  # for example a lock file that was removed meanwhile
        return
    linux.restrict(str(at), linux.NOSUID | (0 if devices else linux.NODEV) | (0 if writable else linux.RDONLY))


def _proc(at: Path) -> None:
    _mount("proc", _make_directory(at), _QUIET | linux.NOEXEC)
    for name in READ_ONLY_PROC:
        if (at / name).exists():
            _bind(at / name, at / name, writable=False)
    for name in HIDDEN_PROC:
        _hide(at / name)


def _hide(path: Path) -> None:
    if path.is_dir():
        _mount("tmpfs", path, _QUIET | linux.NOEXEC | linux.RDONLY)
    elif path.exists():
        _bind(Path("/dev/null"), path, writable=False)


def _overlay(mount: Overlay, target: Path) -> None:
    upper = _make_directory(Path(mount.upper))
    work = _make_directory(Path(f"{mount.upper}.work"))
    status = Path(mount.source).stat()
    upper.chmod(status.st_mode & 0o7777)
    with suppress(OSError):  # an owner without an ID in the container could not write there anyway
        os.chown(upper, status.st_uid, status.st_gid)
    hide(mount)
    lower = ":".join(_escape(path) for path in (mount.below, mount.copies, mount.source) if path)
    data = f"lowerdir={lower},upperdir={_escape(str(upper))},workdir={_escape(str(work))},userxattr"
    _mount("overlay", _make_directory(target), linux.NODEV, data)


def hide(mount: Overlay) -> None:
    """Hide private files in the upper layer of an overlay, unless an entry exists there already.

    Raises:
        OSError: the upper layer cannot be written.
    """
    source, upper = Path(mount.source), Path(mount.upper)
    for name in mount.hidden:
        over = upper / name
        if os.path.lexists(over) or _replaced(over, upper):
            continue
        with suppress(FileNotFoundError):  # the directory was removed meanwhile, with the entry
            _mirror((source / name).parent, over.parent)
            # A whiteout. Source: Documentation/filesystems/overlayfs.rst of the kernel
            os.mknod(over, stat.S_IFCHR, 0)


def _replaced(over: Path, upper: Path) -> bool:
    """Return whether the container has replaced a directory above: nothing is written through a link of its own."""
    above = (path for path in over.parents if path.is_relative_to(upper))
    return any(path.is_symlink() or (path.exists() and not path.is_dir()) for path in above)


def _mirror(own: Path, over: Path) -> None:
    """Create a directory in the upper layer, with those above it, as they are below."""
    if not over.is_dir():
        status = own.stat()
        _mirror(own.parent, over.parent)
        over.mkdir()
        with suppress(OSError):  # an owner without an ID in the container
            os.chown(over, status.st_uid, status.st_gid)
        over.chmod(stat.S_IMODE(status.st_mode))


def _escape(path: str) -> str:
    """Escape a path for the options of overlayfs."""
    return "".join(f"\\{character}" if character in "\\,:" else character for character in path)


def _dev(at: Path) -> None:
    _mount("tmpfs", _make_directory(at), linux.NOSUID, "mode=0755")
    for name in DEVICES:
        device = Path("/dev", name)
        if device.exists():
            _bind(device, at / name, writable=True, devices=True)
    _mount("devpts", _make_directory(at / "pts"), linux.NOSUID | linux.NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    _mount("tmpfs", _make_directory(at / "shm"), _QUIET, "mode=1777")
    for name, target in _DEV_LINKS.items():
        (at / name).symlink_to(target)


_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
_TRIES = 8
"""Another process may take a free device before it is configured."""


def mount_images(images: Iterable[Squashfs]) -> None:
    """Mount images in a mount namespace of our own; an image that cannot be mounted is replaced by its source.

    The kernel releases the devices with the last process of the namespace.
    """
    images = tuple(images)
    if not images or os.geteuid() or not Path("/dev/loop-control").exists():
        return
    linux.unshare(linux.NEWNS)
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    for image in images:
        with suppress(OSError), _device(Path(image.image)) as device:
            Path(image.place).mkdir(parents=True, exist_ok=True)
            flags = linux.RDONLY | linux.NOSUID | linux.NODEV
            linux.mount(device, image.place, "squashfs", flags)


@contextmanager
def _device(image: Path) -> Iterator[str]:
    """Attach an image to a loop device, which is open until it is mounted. Source: loop(4), linux/loop.h."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    backing = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    flags, name = _READ_ONLY | _AUTOCLEAR, os.fsencode(image)[:63]
    config = struct.pack("II 5Q 4I 64s", backing, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, name)
    try:
        for left in reversed(range(_TRIES)):
            device = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            number = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(number, _CONFIGURE, config.ljust(304, b"\0"))
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
