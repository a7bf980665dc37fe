"""Enter a box: ``python -m gentoomuch_portage.containers.enter KIND RUN PARENT``, where ``RUN/box.json`` tells of it.

A program of its own, started by ``boxes``: whoever kills it kills all that is in the box, and its mounts with it.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gentoomuch_portage.containers import id_maps, init, linux, mounts, seccomp
from gentoomuch_portage.containers.mounts import lay
from gentoomuch_portage.containers.spec import Box, Dev, Proc, Squashfs

_AS_ROOT = frozenset({"nspawn", "podman"})
"""They work for the machine's root alone, outside of a user namespace."""
_ALONE = linux.NEWIPC | linux.NEWUTS | linux.NEWPID | linux.NEWCGROUP


def main(kind: str, run: Path, parent: int) -> NoReturn:
    """Make the box's namespaces, lay its mounts, run its program; end as that ends, or with the parent."""
    linux.die_with_parent(parent)
    os.umask(0o022)  # folders above mounts are made on the way, and Portage's users have to get through
    box = Box.from_json((run / "box.json").read_text(encoding="utf-8"))
    mounts.mount_images(one for one in box.mounts if isinstance(one, Squashfs))
    if kind == "unshare":
        flags = linux.NEWUSER | linux.NEWNS | _ALONE | (0 if box.network else linux.NEWNET)
        number = linux.fork(lambda: _first(box), mapped=id_maps.write, flags=flags, as_root=True)
    else:
        theirs = (run / "argv").read_text(encoding="utf-8").split("\0")
        mapped = None if kind in _AS_ROOT else id_maps.write
        flags = linux.NEWNS | (linux.NEWUSER if mapped else linux.NEWPID)
        number = linux.fork(lambda: _hand_over(box, theirs), mapped=mapped, flags=flags, as_root=True)
    status = init.wait(number)
    if kind == "vm":
        from gentoomuch_portage.containers.vm import launch  # every other kind would wait for it

        status = launch.ended(run, status)
    os._exit(status)


def _hand_over(box: Box, theirs: Sequence[str]) -> None:
    """Lay the mounts and let another program make the namespaces: all below it ends with us."""
    raise SystemExit(init.wait(linux.fork(lambda: _become(box, theirs))))


def _become(box: Box, theirs: Sequence[str]) -> NoReturn:
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    first = os.getpid() == 1
    if first:
        linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC)
    lay(box, without=Dev | Proc)
    if first:  # what they keep of a box below /run goes with it
        linux.mount("tmpfs", "/run", "tmpfs", linux.NOSUID | linux.NODEV, "mode=0755")
        # Podman waits for a conmon that was killed until somebody buries it: the first process does.
        raise SystemExit(init.wait(linux.fork(lambda: os.execvp(theirs[0], list(theirs)))))
    os.execvp(theirs[0], list(theirs))


def _first(box: Box) -> None:
    """Be above the first process of the box: a process that makes a pid namespace stays outside of it."""
    raise SystemExit(init.wait(linux.fork(lambda: _init(box))))


def _init(box: Box) -> None:
    shut = seccomp.filtering()
    linux.mount("", "/", "", linux.REC | linux.PRIVATE)
    new = lay(box)
    if not box.network:
        linux.loopback()
    linux.hostname(box.hostname)
    old = new / ".old"
    old.mkdir(exist_ok=True)
    linux.pivot_root(str(new), str(old))
    os.chdir("/")
    linux.unmount("/.old")
    Path("/.old").rmdir()
    init.start(box, shut=shut)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
