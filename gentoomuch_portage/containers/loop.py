"""Squashfs images on loop devices, mounted before a box's namespaces are made: only the machine's root can do that."""

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from gentoomuch_portage.containers import kernel
from gentoomuch_portage.containers.mounts import Squashfs

_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
_TRIES = 8
"""Between the question for a free device and its taking, somebody else may have it."""


def lay(images: Iterable[Squashfs]) -> None:
    """Mount images in a mount namespace of our own; where it cannot be done, their sources are taken instead.

    The devices are given back by the kernel with the last process of the namespace.
    """
    images = tuple(images)
    if not images or os.geteuid() or not Path("/dev/loop-control").exists():
        return
    kernel.unshare(kernel.NEWNS)
    kernel.mount("", "/", "", kernel.REC | kernel.PRIVATE)
    for one in images:
        with contextlib.suppress(OSError), _device(Path(one.image)) as device:
            Path(one.place).mkdir(parents=True, exist_ok=True)
            flags = kernel.RDONLY | kernel.NOSUID | kernel.NODEV
            kernel.mount(device, one.place, "squashfs", flags)


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
