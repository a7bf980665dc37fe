# SPDX-License-Identifier: GPL-2.0-or-later
"""Create a container: ``python -m gentoomuch_portage.containers.enter NAMESPACES RUN PARENT``.

``RUN/container.json`` describes the container. ``lifecycle`` starts this program. If it is killed, the kernel ends all
processes of the container, and removes its mounts.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gentoomuch_portage.config.isolation_kinds import NSPAWN
from gentoomuch_portage.containers import cgroups, id_maps, init, linux, mounts, seccomp
from gentoomuch_portage.containers.mounts import mount_all
from gentoomuch_portage.containers.spec import SPEC, ContainerSpec, Dev, Proc, Squashfs

OWN, OF_USER, OF_ROOT = "own", "of-user", "of-root"
"""Values of NAMESPACES: this program creates them; the program of ``RUN/argv`` does, in a user namespace or as root of
the machine outside of one."""
_NEW = linux.NEWIPC | linux.NEWUTS | linux.NEWPID | linux.NEWCGROUP


def main(namespaces: str, run: Path, parent: int) -> NoReturn:
    """Create the namespaces and mounts of a container, and run its program; end as it ends, or with the parent."""
    linux.die_with_parent(parent)
    os.umask(0o022)  # directories above mount points are created here, and Portage's users have to enter them
    spec = ContainerSpec.from_json((run / SPEC).read_text(encoding="utf-8"))
    mounts.mount_images(mount for mount in spec.mounts if isinstance(mount, Squashfs))
    if namespaces == OWN:
        flags = linux.NEWUSER | linux.NEWNS | _NEW | (0 if spec.network else linux.NEWNET)
        number = linux.fork(lambda: _fork_init(spec), mapped=id_maps.write_maps, flags=flags, as_root=True)
    else:
        argv = (run / "argv").read_text(encoding="utf-8").split("\0")
        if argv[0] == NSPAWN.program:
            cgroups.join(run)
        mapped = id_maps.write_maps if namespaces == OF_USER else None
        flags = linux.NEWNS | (linux.NEWUSER if mapped else linux.NEWPID)
        number = linux.fork(lambda: _fork_program(spec, argv), mapped=mapped, flags=flags, as_root=True)
    os._exit(init.wait(number))


def _fork_program(spec: ContainerSpec, argv: Sequence[str]) -> None:
    """Fork the process that creates the mounts and becomes the program: the program ends when we do."""
    raise SystemExit(init.wait(linux.fork(lambda: _become(spec, argv))))


def _become(spec: ContainerSpec, argv: Sequence[str]) -> NoReturn:
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    first = os.getpid() == 1
    if first:
        linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC)
    mount_all(spec, without=Dev | Proc)
    # Ctrl-C is for the program in the container; the program that makes the container would end it at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if first:  # what the program stores in memory is its own, and removed with it: podman has locks in /dev/shm
        for place, mode in (("/dev/shm", "1777"), ("/run", "0755")):
            if Path(place).is_dir():
                linux.mount("tmpfs", place, "tmpfs", linux.NOSUID | linux.NODEV, f"mode={mode}")
        # Podman waits until a killed conmon is reaped: the first process does that.
        raise SystemExit(init.wait(linux.fork(lambda: os.execvp(argv[0], list(argv)))))
    os.execvp(argv[0], list(argv))


def _fork_init(spec: ContainerSpec) -> None:
    """Fork the first process of the container: a process that creates a PID namespace stays outside of it."""
    raise SystemExit(init.wait(linux.fork(lambda: _init(spec))))


def _init(spec: ContainerSpec) -> None:
    load_filter = seccomp.prepare_filter()
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    new = mount_all(spec)
    if not spec.network:
        linux.loopback()
    linux.hostname(spec.hostname)
    old = new / ".old"
    old.mkdir(exist_ok=True)
    linux.pivot_root(str(new), str(old))
    os.chdir("/")
    linux.unmount("/.old")
    Path("/.old").rmdir()
    init.start(spec, load_filter=load_filter)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
