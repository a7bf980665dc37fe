"""Enter a box: ``python -m gentoomuch_portage.containers.enter KIND RUN PARENT``, where ``RUN/box.json`` tells of it.

A program of its own, started by ``boxes``: whoever kills it kills all that is in the box, and its mounts with it.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gentoomuch_portage.containers import inside, kernel, loop, maps, seccomp
from gentoomuch_portage.containers.laid import lay
from gentoomuch_portage.containers.mounts import Box, Dev, Proc, Squashfs

_AS_ROOT = frozenset({"nspawn", "podman"})
"""They work for the machine's root alone, outside of a user namespace."""
_ALONE = kernel.NEWIPC | kernel.NEWUTS | kernel.NEWPID | kernel.NEWCGROUP


def main(kind: str, run: Path, parent: int) -> NoReturn:
    """Make the box's namespaces, lay its mounts, run its program; end as that ends, or with the parent."""
    kernel.die_with_parent(parent)
    os.umask(0o022)  # folders above mounts are made on the way, and Portage's users have to get through
    box = Box.from_json((run / "box.json").read_text(encoding="utf-8"))
    loop.lay(one for one in box.mounts if isinstance(one, Squashfs))
    if kind == "unshare":
        flags = kernel.NEWUSER | kernel.NEWNS | _ALONE | (0 if box.network else kernel.NEWNET)
        number = kernel.fork(lambda: _first(box), mapped=maps.write, flags=flags, as_root=True)
    else:
        theirs = (run / "argv").read_text(encoding="utf-8").split("\0")
        mapped = None if kind in _AS_ROOT else maps.write
        flags = kernel.NEWNS | (kernel.NEWUSER if mapped else kernel.NEWPID)
        number = kernel.fork(lambda: _hand_over(box, theirs), mapped=mapped, flags=flags, as_root=True)
    status = inside.wait(number)
    if kind == "vm":
        from gentoomuch_portage.containers import vm  # every other kind would wait for it

        status = vm.ended(run, status)
    os._exit(status)


def _hand_over(box: Box, theirs: Sequence[str]) -> None:
    """Lay the mounts and let another program make the namespaces: all below it ends with us."""
    raise SystemExit(inside.wait(kernel.fork(lambda: _become(box, theirs))))


def _become(box: Box, theirs: Sequence[str]) -> NoReturn:
    kernel.mount("", "/", "", kernel.REC | kernel.PRIVATE)
    first = os.getpid() == 1
    if first:
        kernel.mount("proc", "/proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    lay(box, without=Dev | Proc)
    if first:  # what they keep of a box below /run goes with it
        kernel.mount("tmpfs", "/run", "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=0755")
        # Podman waits for a conmon that was killed until somebody buries it: the first process does.
        raise SystemExit(inside.wait(kernel.fork(lambda: os.execvp(theirs[0], list(theirs)))))
    os.execvp(theirs[0], list(theirs))


def _first(box: Box) -> None:
    """Be above the first process of the box: a process that makes a pid namespace stays outside of it."""
    raise SystemExit(inside.wait(kernel.fork(lambda: _init(box))))


def _init(box: Box) -> None:
    shut = seccomp.filtering()
    kernel.mount("", "/", "", kernel.REC | kernel.PRIVATE)
    new = lay(box)
    if not box.network:
        kernel.loopback()
    kernel.hostname(box.hostname)
    old = new / ".old"
    old.mkdir(exist_ok=True)
    kernel.pivot_root(str(new), str(old))
    os.chdir("/")
    kernel.unmount("/.old")
    Path("/.old").rmdir()
    inside.start(box, shut=shut)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
