"""In a virtual machine: finish the box whose mounts the host has laid, then go inside as in every other kind.

Started by ``vminit.c`` as the root of the machine, in the root of the box.
"""

import fcntl
import os
import shutil
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from gentoomuch_portage.containers import init, linux, mounts, seccomp
from gentoomuch_portage.containers.spec import Box, Dev, Proc, Tmpfs

_ADDRESS, _GATEWAY, _NAMES, _MASK = "10.0.2.15", "10.0.2.2", "10.0.2.3", "255.255.255.0"
"""Source: the network that qemu's ``-nic user`` makes, qemu(1)."""
_SIOCADDRT, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x890B, 0x8914, 0x8916, 0x891C
_UP, _THROUGH_GATEWAY = 0x1, 0x2


def main(told: str) -> NoReturn:
    """Lay what only this kernel has, and run the program of the box; end as it ends."""
    box = Box.from_json(Path(told).read_text(encoding="utf-8"))
    shut = seccomp.filtering()
    for one in own(box):
        # Beside /dev, whose devices it is made of, until it is whole.
        at = Path("/dev/new") if isinstance(one, Dev) else Path(one.target)
        mounts.lay_one(one, at, f",size={box.disk}" if box.disk else "")
        if isinstance(one, Dev):
            linux.mount(str(at), one.target, "", linux.MOVE)
    linux.loopback()
    linux.hostname(box.hostname)
    if box.network:
        _connect()
    kept = _apart(box)
    number = linux.fork(lambda: init.start(box, shut=shut))
    status = init.wait(number)
    if kept is not None:
        hand_back(Path(box.scratch), kept)
    os._exit(status)


def _apart(box: Box) -> int | None:
    """Lay memory over the place where it builds: 9p knows no FIFOs, nor files that nobody can see any more.

    Returns:
        The folder that lies below, opened; None where nothing is built.
    """
    if not box.scratch:
        return None
    scratch = mounts.within(Path("/"), box.scratch)
    seen, kept = scratch.stat(), os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
    owned = f"mode={seen.st_mode & 0o7777:o},uid={seen.st_uid},gid={seen.st_gid}"
    limit = f"nr_inodes=0,size={box.disk or sum(_memory())}"
    linux.mount("tmpfs", str(scratch), "tmpfs", linux.NOSUID | linux.NODEV, f"{owned},{limit}")
    return kept


def _memory() -> tuple[int, int]:
    """Bytes of memory, and of what it is put out to."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    told = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    return told["MemTotal"], told["SwapTotal"]


def hand_back(scratch: Path, kept: int) -> None:
    """Leave build directories that are still there, as those of failed builds, where every other kind leaves them.

    Args:
        kept: the folder of the host, opened.
    """
    os.fchdir(kept)
    for built in sorted(scratch.glob("portage/*/*/")):
        for path in (Path(above, name) for above, _, names in os.walk(built) for name in names):
            if path.is_fifo() or path.is_socket():
                path.unlink()
        at = built.relative_to(scratch)
        shutil.rmtree(at, ignore_errors=True)
        at.parent.mkdir(parents=True, exist_ok=True)
        init.wait(linux.fork(_copying(built, at)))


def _copying(source: Path, target: Path) -> Callable[[], None]:
    return lambda: os.execvp("cp", ["cp", "-a", "--", str(source), str(target)])


def own(box: Box) -> list[Dev | Proc | Tmpfs]:
    """What is laid in the machine: devices, processes, and folders in memory that hold no other mounts."""
    found: list[Dev | Proc | Tmpfs] = []
    for one in box.mounts:
        if isinstance(one, Dev | Proc) or (isinstance(one, Tmpfs) and not _holds(one.target, box)):
            found.append(one)
    return found


def _holds(target: str, box: Box) -> bool:
    return any(one.target != target and Path(one.target).is_relative_to(target) for one in box.mounts)


def _connect() -> None:
    """Take the address that qemu has for us, and its way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        for asked, value in ((_SIOCSIFADDR, _ADDRESS), (_SIOCSIFNETMASK, _MASK)):
            fcntl.ioctl(made, asked, struct.pack("16s16s", b"eth0", _socket_address(value)))
        fcntl.ioctl(made, _SIOCSIFFLAGS, struct.pack("16sh", b"eth0", _UP))
        way = (_socket_address("0.0.0.0"), _socket_address(_GATEWAY), _socket_address("0.0.0.0"))
        fcntl.ioctl(made, _SIOCADDRT, struct.pack("L16s16s16sH54x", 0, *way, _UP | _THROUGH_GATEWAY))
    names = Path("/dev/shm/resolv.conf")
    names.write_text(f"nameserver {_NAMES}\n", encoding="utf-8")
    asked_in = Path("/etc/resolv.conf")
    if asked_in.exists():
        linux.mount(str(names), str(asked_in.resolve()), "", linux.BIND)


def _socket_address(text: str) -> bytes:
    """struct sockaddr_in."""
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


if __name__ == "__main__":
    os.umask(0o022)
    main(sys.argv[1])
