# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside a virtual machine: add the mounts that only its kernel can create, then continue as in every other kind.

Started by ``init.c`` as root of the machine, in the root directory of the container.
"""

import fcntl
import os
import socket
import struct
import sys
from pathlib import Path
from typing import NoReturn

from gentoomuch_portage.containers import init, linux, listen, mounts, seccomp
from gentoomuch_portage.containers.spec import ContainerSpec, Dev, Proc, Tmpfs

_ADDRESS, _GATEWAY, _NAMESERVER, _MASK = "10.0.2.15", "10.0.2.2", "10.0.2.3", "255.255.255.0"
"""The network of qemu's ``-nic user``. Source: qemu(1)."""
_SIOCADDRT, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x890B, 0x8914, 0x8916, 0x891C
_EVENTS = "/dev/vport0p4"
"""The port for events, as ``launch.argv`` numbers it; the pipe itself cannot be opened over 9p."""
_UP, _THROUGH_GATEWAY = 0x1, 0x2


def main(description: str) -> NoReturn:
    """Create the mounts, and run the program of the container; end as it ends."""
    spec = ContainerSpec.from_json(Path(description).read_text(encoding="utf-8"))
    load_filter = seccomp.prepare_filter()
    if pipe := listen.find_target(spec):  # before /dev is replaced
        linux.mount(_EVENTS, pipe, "", linux.BIND)
    for mount in guest_mounts(spec):
        # The new /dev needs the devices of the old one until it is complete.
        target = Path("/dev/new") if isinstance(mount, Dev) else Path(mount.target)
        mounts.mount_one(mount, target, f",size={spec.disk}" if spec.disk else "")
        if isinstance(mount, Dev):
            linux.mount(str(target), mount.target, "", linux.MOVE)
    linux.loopback()
    linux.hostname(spec.hostname)
    if spec.network:
        _connect()
    _mount_scratch(spec)
    os._exit(init.wait(linux.fork(lambda: init.start(spec, load_filter=load_filter))))


def _mount_scratch(spec: ContainerSpec) -> None:
    """Mount memory over PORTAGE_TMPDIR: 9p supports neither FIFOs nor open files without a name."""
    if not spec.scratch:
        return
    scratch = mounts.resolve_within(Path("/"), spec.scratch)
    status = scratch.stat()
    owner = f"mode={status.st_mode & 0o7777:o},uid={status.st_uid},gid={status.st_gid}"
    limit = f"nr_inodes=0,size={spec.disk or sum(_memory())}"
    linux.mount("tmpfs", str(scratch), "tmpfs", linux.NOSUID | linux.NODEV, f"{owner},{limit}")


def _memory() -> tuple[int, int]:
    """Return the bytes of memory and of swap space."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes["MemTotal"], sizes["SwapTotal"]


def guest_mounts(spec: ContainerSpec) -> list[Dev | Proc | Tmpfs]:
    """Return the mounts to create in the machine: devices, processes, and memory that contains no other mounts."""
    selected: list[Dev | Proc | Tmpfs] = []
    for mount in spec.mounts:
        if isinstance(mount, Dev | Proc) or (isinstance(mount, Tmpfs) and not _contains_mount(mount.target, spec)):
            selected.append(mount)
    return selected


def _contains_mount(target: str, spec: ContainerSpec) -> bool:
    return any(mount.target != target and Path(mount.target).is_relative_to(target) for mount in spec.mounts)


def _connect() -> None:
    """Set the address and the gateway of qemu's user network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as interface:
        for request, value in ((_SIOCSIFADDR, _ADDRESS), (_SIOCSIFNETMASK, _MASK)):
            fcntl.ioctl(interface, request, struct.pack("16s16s", b"eth0", _socket_address(value)))
        fcntl.ioctl(interface, _SIOCSIFFLAGS, struct.pack("16sh", b"eth0", _UP))
        route = (_socket_address("0.0.0.0"), _socket_address(_GATEWAY), _socket_address("0.0.0.0"))
        fcntl.ioctl(interface, _SIOCADDRT, struct.pack("L16s16s16sH54x", 0, *route, _UP | _THROUGH_GATEWAY))
    resolver = Path("/dev/shm/resolv.conf")
    resolver.write_text(f"nameserver {_NAMESERVER}\n", encoding="utf-8")
    target = Path("/etc/resolv.conf")
    if target.exists():
        linux.mount(str(resolver), str(target.resolve()), "", linux.BIND)


def _socket_address(text: str) -> bytes:
    """Return a struct sockaddr_in."""
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


if __name__ == "__main__":
    os.umask(0o022)
    main(sys.argv[1])
