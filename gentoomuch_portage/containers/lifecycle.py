"""The life of a box: its folder, its run, and what a killed one leaves.

``cache/containers/RUN`` is locked as long as its run lives; the kernel drops the lock with the process. Mounts,
namespaces and processes end with the process as well, so that a folder is all that can be left behind.

A run that is killed while it merges on the host leaves one process more: the one that Portage has forked for that,
which merges to the end. It has inherited the folder's lock, but not that of ``RUN/alive``, which is the run's alone.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import fs, process
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import backends, helpers, init, logs
from gentoomuch_portage.containers.spec import Box
from gentoomuch_portage.containers.vm import launch
from gentoomuch_portage.errors import MissingProgram

ATOMS = {
    "bwrap": "sys-apps/bubblewrap", "nspawn": "sys-apps/systemd", "podman": "app-containers/podman", "unshare": "",
    "vm": launch.ATOM,
}  # fmt: skip
"""The packages of Gentoo that have what a kind of container needs."""
_LEFT_OVER = ("root", "upper", "packages", "packages.work", "logs")
_ALIVE = "alive"
"""A file that the run itself holds a lock on; what it forks does not inherit it. Source: fcntl_locking(2)."""


@contextmanager
def folder(cache: Path) -> Iterator[Path]:
    """A folder for one box, gone afterwards.

    Raises:
        NoPrivilege: the cache cannot be written.
    """
    with fs.fresh_folder(cache / "containers", prefix="run-") as made:
        made.chmod(0o700)  # a setuid program that a build has made is no program for the host's users
        with (made / f".{_ALIVE}").open("wb") as alive:
            fcntl.lockf(alive, fcntl.LOCK_EX)
            (made / f".{_ALIVE}").rename(made / _ALIVE)  # it is never seen without the lock
            try:
                yield made
            finally:
                clear(made)


def kept(settings: Settings, profile: str, name: str) -> Path:
    """Where the changes of a fresh root that has a name are kept."""
    return settings.state / profile / "roots" / name


def keep(settings: Settings, profile: str, name: str) -> Path:
    """That folder, which is made where it is missing; nobody else gets in.

    Raises:
        NoPrivilege: it cannot be made.
    """
    folder = kept(settings, profile, name)
    fs.ensure(folder.parent.parent)
    fs.ensure(folder.parent, mode=0o700)
    return fs.ensure(folder, mode=0o700)


def start(kind: str, box: Box, *, keep: bool = False) -> process.Ran:
    """Run a box to its end.

    Args:
        kind: unshare, bwrap, nspawn, podman or vm, or one that another distribution makes.
        keep: keep its output instead of letting it through.

    Returns:
        Its program's status: 128 + N where signal N ended it; 70 where the box could not be made, which it has
        said on stderr.

    Raises:
        MissingProgram: the program that makes such containers is not here.
        MissingKernel: a virtual machine has nothing to boot.
        MakerFailed: the kind is another distribution's, and fails.
    """
    words = backends.argv(kind, box)
    program = words[0] if words else launch.PROGRAM
    if kind != "unshare" and not process.where(program):
        raise MissingProgram(program, ATOMS.get(kind, ""))
    place = Path(box.run)
    (place / "box.json").write_text(box.to_json(), encoding="utf-8")
    (place / backends.TOLD_FROM).write_bytes(box.to_json().encode() if kind == "vm" else init.packed(box))
    logs.prepare(place, box)
    (place / "argv").write_text("\0".join(words), encoding="utf-8")
    if kind == "vm":
        machine = launch.prepare(box, place.parent, terminal=not keep and all(os.isatty(number) for number in range(3)))
        (place / "argv").write_text("\0".join(launch.argv(box, machine)), encoding="utf-8")
    enter = [*helpers.words("containers.enter"), kind, str(place), str(os.getpid())]
    if keep:
        return process.run(enter, env=helpers.environment(), keep=True, accept=())
    return process.Ran(process.answered(enter, helpers.environment()), "", "")


def clear(place: Path) -> None:
    """Remove what a box has written; as the users that it had, where it had several."""
    for name in _LEFT_OVER:
        shutil.rmtree(place / name, ignore_errors=True)
    left = [str(place / name) for name in _LEFT_OVER if (place / name).exists()]
    if left and os.geteuid():
        owner = [*helpers.words("containers.root_helper"), "rm", "-rf", "--", *left]
        process.run(owner, env=helpers.environment(), keep=True, accept=())


def killed(cache: Path) -> list[Path]:
    """Folders of runs that are over, without their own end; a process of such a run may still be at work."""
    return [place for place in sorted((cache / "containers").glob("run-*")) if _over(place)]


def _over(place: Path) -> bool:
    alive = place / _ALIVE
    if not os.path.lexists(alive):  # it is just being made, or was killed then
        return _free(place, os.O_RDONLY | os.O_DIRECTORY, fcntl.flock)
    return _free(alive, os.O_RDWR, fcntl.lockf)


def _free(path: Path, how: int, lock: Callable[[int, int], object]) -> bool:
    """Whether nobody has a lock on what is there."""
    try:
        number = os.open(path, how | os.O_CLOEXEC)
    except OSError:
        return False  # another user's, or gone by now
    try:
        lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(number)


def remove(place: Path) -> None:
    """Remove the folder of a killed run."""
    clear(place)
    fs.remove_unheld(place)
