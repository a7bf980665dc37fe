# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared and exclusive locks on a root, and the check that other users cannot enter a root.

Any number of runs may work in a root at once, but none while it is removed, exported or rolled back. The kernel
releases each lock with its process. A lock belongs to the directory, and a rollback puts another one in its place.
"""

import fcntl
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import Busy, MachineError, NoPrivilege

_LOCKS = Path("/proc/locks")
_SHARED_PARTS = 3
"""Path components, including ``/``: a directory with fewer, such as /srv, has other uses than roots."""


def open_root(root: Path) -> MachineError:
    """Other users can enter the root directory, and could run set-user-ID programs that a build creates there."""
    above = root.parent
    closed = above / "closed"
    move = f"install -d -m 0700 {closed}, move {root} there, and change root in the profile"
    return MachineError(
        f"cannot use {root} in a container: all users of this machine can enter it, and could run set-user-ID programs "
        "that a build creates",
        code="open-root",
        hint=f"chmod 0700 {above}" if len(above.parts) >= _SHARED_PARTS and above.parts[1] != "usr" else move,
    )


def make_closed(root: Path) -> None:
    """Create the directory above a root if it is missing: only its owner can enter it.

    Raises:
        NoPrivilege: it cannot be created.
    """
    if not root.parent.exists():
        fs.ensure(root.parent, mode=0o700)


def check_closed(root: Path) -> None:
    """Check that a root that containers write to is below a directory which only its owner can enter.

    The mode of the root itself does not matter: a container can change it. ``/`` is never written to.

    Raises:
        MachineError[open-root]: it is not.
    """
    if root != Path("/") and not any(_is_closed(above) for above in root.resolve().parents):
        raise open_root(root)


def _is_closed(folder: Path) -> bool:
    try:
        status = folder.stat()
    except FileNotFoundError:
        return False
    group = status.st_mode & stat.S_IXGRP and status.st_gid != os.getegid()
    return status.st_uid in {0, os.geteuid()} and not status.st_mode & stat.S_IXOTH and not group


@contextmanager
def shared(root: Path) -> Iterator[None]:
    """Hold a shared lock on a root, which is created if it is missing.

    ``/`` is neither removed nor exported, and not locked.

    Raises:
        Busy: it is being removed or exported, or another run begins to fill it.
        NoPrivilege: it cannot be entered or created.
    """
    if root == Path("/"):
        yield
        return
    fs.ensure(root)
    with _locked(root, fcntl.LOCK_SH):
        yield


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold an exclusive lock on a root.

    Raises:
        Busy: another run works in it.
        NoPrivilege: it cannot be entered.
    """
    with _locked(root, fcntl.LOCK_EX):
        yield


@contextmanager
def begin(root: Path, prepare: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Make sure that no other run works in a root, then hold a shared lock on it.

    Args:
        prepare: called while no other run can work in the root.

    Raises:
        Busy: another run works in it.
        NoPrivilege: it cannot be entered.
    """
    with _locked(root, fcntl.LOCK_EX) as number:
        prepare()
        _lock(number, root, fcntl.LOCK_SH)  # not atomic: it releases the other lock first
        if not _is_root(number, root):
            raise _busy(number, root)
        yield


@contextmanager
def _locked(root: Path, operation: int) -> Iterator[int]:
    is_locked = False
    while not is_locked:
        try:
            number = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as error:
            raise NoPrivilege(f"cannot enter {root}: {error.strerror}", hint="run the command as its owner") from error
        try:
            _lock(number, root, operation)
            if is_locked := _is_root(number, root):
                yield number
        finally:
            os.close(number)


def _is_root(number: int, root: Path) -> bool:
    """Return whether an open directory is still the root: a rollback replaces it."""
    try:
        return os.path.samestat(os.fstat(number), root.stat())
    except FileNotFoundError:
        return False


def _lock(number: int, root: Path, operation: int) -> None:
    try:
        fcntl.flock(number, operation | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(number, root) from error


def _busy(number: int, root: Path) -> Busy:
    holders = ", ".join(_find_holders(number))
    what = f"{root} is in use{f' by {holders}' if holders else ''}"
    return Busy(what, hint="wait until it has ended, then try again")


def _find_holders(number: int) -> list[str]:
    """Return the visible processes that hold a lock on an open file, as ``gm-emerge (1234)``.

    Source: proc_locks(5).
    """
    status = os.fstat(number)
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lines = (line.split() for line in _LOCKS.read_text(encoding="utf-8").splitlines())
    holders = {int(fields[4]) for fields in lines if fields[1] == "FLOCK" and fields[5] == wanted}
    return [f"{name} ({holder})" for holder in sorted(holders) if (name := _program_name(holder))]


def _program_name(number: int) -> str:
    """Return the name of a process, or of the script that its Python runs; empty if it has ended."""
    try:
        name = Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip()
        words = Path(f"/proc/{number}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return ""
    if not name.startswith("python"):
        return name
    options = list(itertools.takewhile(lambda word: word.startswith("-"), words[1:]))
    script = "".join(words[1 + len(options) :][:1])
    return Path(script).name if script and "-c" not in options else name
