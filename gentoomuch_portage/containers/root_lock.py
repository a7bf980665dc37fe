"""Who works in a root: as many as like at once, but nobody while it is removed or taken elsewhere.

The kernel drops each lock with its process, however that ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import Busy, NoPrivilege

_LOCKS = Path("/proc/locks")


@contextmanager
def at_work(root: Path) -> Iterator[None]:
    """Work in a root for the length of the block, beside others; it is made where it is missing.

    ``/`` is neither removed nor taken elsewhere: nothing is locked there.

    Raises:
        Busy: it is being removed, exported, or begun to be filled.
        NoPrivilege: it cannot be entered, or made.
    """
    if root == Path("/"):
        yield
        return
    fs.ensure(root)
    with _held(root, fcntl.LOCK_SH):
        yield


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Have a root to ourselves for the length of the block.

    Raises:
        Busy: somebody works in it.
        NoPrivilege: it cannot be entered.
    """
    with _held(root, fcntl.LOCK_EX):
        yield


@contextmanager
def first(root: Path) -> Iterator[None]:
    """Be the first in a root, and work there for the length of the block; others who work may come later.

    Raises:
        Busy: somebody works in it.
        NoPrivilege: it cannot be entered.
    """
    with _held(root, fcntl.LOCK_EX) as number:
        _lock(number, root, fcntl.LOCK_SH)
        yield


@contextmanager
def _held(root: Path, how: int) -> Iterator[int]:
    try:
        number = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError as error:
        raise NoPrivilege(f"{root} cannot be entered: {error.strerror}", remedy="run it as its owner") from error
    try:
        _lock(number, root, how)
        yield number
    finally:
        os.close(number)


def _lock(number: int, root: Path, how: int) -> None:
    try:
        fcntl.flock(number, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        found = ", ".join(_holders(number))
        raise Busy(
            f"{root} is in use{f' by {found}' if found else ''}", remedy="wait until that has ended, then try again"
        ) from error


def _holders(number: int) -> list[str]:
    """The processes that hold a lock on what is open, as ``gm-emerge (1234)``; those that can be seen from here.

    Source: proc_locks(5).
    """
    seen = os.fstat(number)
    wanted = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    lines = (line.split() for line in _LOCKS.read_text(encoding="utf-8").splitlines())
    held = {int(line[4]) for line in lines if line[1] == "FLOCK" and line[5] == wanted}
    names = {one: Path(f"/proc/{one}/comm") for one in sorted(held)}
    return [f"{name.read_text(encoding='utf-8').strip()} ({one})" for one, name in names.items() if name.exists()]
