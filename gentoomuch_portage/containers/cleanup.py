"""Make good what killed runs have left: finished packages are taken over, the rest is removed.

Remove the build directories of builds that were killed: nobody comes back to them.

A build that failed has Portage's mark in its directory, which stays for its user to look at. All that lies there was
made by ebuilds: no link is followed.
"""

import fcntl
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gentoomuch_portage import console, process
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import build, helpers, lifecycle
from gentoomuch_portage.containers.overlay import written
from gentoomuch_portage.containers.spec import Box
from gentoomuch_portage.plan.plan import Plan

_FAILED = ".die_hooks"
"""In a build directory: the build has failed by itself. Source: die of Portage's isolated-functions.sh."""
_PATIENCE_TENTHS = 20
"""Tenths of a second: so long may the processes of a killed box take to end."""


def remove(place: Path) -> None:
    """Remove what the killed run of a box has left where it was building.

    Args:
        place: the box's own folder, which tells where that was and since when.
    """
    try:
        box = Box.from_json((place / "box.json").read_text(encoding="utf-8"))
        plan, since = Plan.from_json(place / "plan.json"), (place / "plan.json").stat().st_mtime_ns
    except FileNotFoundError:
        return  # it was killed before it had a box
    folder = written(box.mounts, Path(plan.env["PORTAGE_TMPDIR"]))
    for _ in range(_PATIENCE_TENTHS):
        if folder is None or swept(folder, since):
            return
        if os.geteuid():
            again = [*helpers.words("containers.root_helper"), *helpers.words("containers.cleanup")]
            process.run([*again, str(folder), str(since)], env=helpers.environment(), accept=())
        time.sleep(0.1)


def swept(folder: Path, since: int) -> bool:
    """Remove build directories that a killed build has left; whether none is left.

    Args:
        folder: PORTAGE_TMPDIR.
        since: older ones stay; nanoseconds since 1970.
    """
    left = 0
    with suppress(OSError), _opened(str(folder)) as top, _opened("portage", top) as above:
        for category in os.listdir(above):  # noqa: PTH208 - of a descriptor, which nobody can swap for a link
            with suppress(OSError), _opened(category, above) as at:
                names = os.listdir(at)  # noqa: PTH208
                left += sum(not _gone(name, at, since) for name in names if not name.startswith("."))
    return not left


@contextmanager
def _opened(name: str, at: int | None = None) -> Iterator[int]:
    number = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        yield number
    finally:
        os.close(number)


def _gone(name: str, at: int, since: int) -> bool:
    seen = os.stat(name, dir_fd=at, follow_symlinks=False)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_mtime_ns < since or _there(f"{name}/{_FAILED}", at):
        return True
    if not _unlocked(f".{name}.portage_lockfile", at):
        return False
    shutil.rmtree(name, ignore_errors=True, dir_fd=at)
    return not _there(name, at)


def _there(name: str, at: int) -> bool:
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        return False
    return True


def _unlocked(name: str, at: int) -> bool:
    """Whether no Portage builds there. Source: portage.locks, whose lock the kernel drops with its process."""
    try:
        number = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=at)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(number)
    return True


_PATIENCE = 60.0
"""Seconds. What a killed run was merging on the host is merged to the end; so long is that waited for."""


def sweep(settings: Settings, plan: Plan) -> int:
    """Look after killed runs.

    Args:
        plan: whose PKGDIR gets the packages; one is for all profiles.

    Returns:
        How many packages were saved.
    """
    saved = 0
    for place in lifecycle.killed(settings.cache):
        with taken(place) as ours:
            if not ours:
                continue
            saved += len(build.take_over(plan, place))
            remove(place)
            lifecycle.clear(place)
        lifecycle.remove(place)
    return saved


@contextmanager
def taken(place: Path, patience: float = _PATIENCE) -> Iterator[bool]:
    """Own the folder of a killed run as soon as no process of that run is left.

    False where that takes longer than some seconds, and where somebody else has removed it: then there is nothing to
    do now.
    """
    try:
        number = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _locked(number, patience)
    finally:
        os.close(number)


def _locked(number: int, patience: float) -> bool:
    ends, told = time.monotonic() + patience, False
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                return False
        else:
            return True
        if not told:
            console.tell("gentoomuch: a run that was killed is still merging; it is waited for")
            told = True
        time.sleep(0.1)


if __name__ == "__main__":
    swept(Path(sys.argv[1]), int(sys.argv[2]))
