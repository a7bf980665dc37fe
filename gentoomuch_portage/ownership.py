# SPDX-License-Identifier: GPL-2.0-or-later
"""Check that only trusted users can change files that root uses: root, the caller of sudo, the owner of this program.

Any other user who could write or replace such a file would become root.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from gentoomuch_portage.errors import ConfigError

_MOST_LINKS = 40
"""Nested links that Linux follows. Source: path_resolution(7)."""


def foreign_file(what: str, path: Path, reason: str, hint: str) -> ConfigError:
    """Another user can change a file that root would use."""
    return ConfigError(f"cannot use {what} as root: {path} {reason}", code="foreign-file", hint=hint)


def check_path(what: str, path: Path) -> None:
    """Check a file or directory, the directories above it, and links among them, if this user is root.

    Raises:
        ConfigError[foreign-file]: another user can change its content.
    """
    if os.geteuid():
        return
    for part, status in _resolve(path.absolute()):
        _check(what, part, status)


def check_open(what: str, path: Path, number: int) -> None:
    """Check an open file.

    Raises:
        ConfigError[foreign-file]: another user can change its content.
    """
    if not os.geteuid():
        _check(what, path, os.fstat(number))


def _check(what: str, path: Path, status: os.stat_result) -> None:
    if status.st_uid not in _trusted() and not _is_unmapped(status.st_uid):
        raise foreign_file(
            what, path, f"belongs to user {_user_name(status.st_uid)}", f"look at it, then: chown root {path}"
        )
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return
    if status.st_mode & stat.S_IWOTH and not stat.S_ISCHR(status.st_mode):
        raise foreign_file(what, path, "is writable by all users", f"look at it, then: chmod o-w {path}")
    if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IWGRP and status.st_gid not in _groups():
        raise foreign_file(what, path, f"is writable by group {status.st_gid}", f"look at it, then: chmod g-w {path}")


def _resolve(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield each existing part of a path in the order in which the kernel resolves it, with links."""
    here, links = Path("/"), 0
    rest = [*reversed(path.parts[1:])]
    yield here, here.lstat()
    while rest:
        name = rest.pop()
        if name == "..":
            here = here.parent
            continue
        part = here / name
        try:
            status = part.lstat()
            target = Path(os.readlink(part)) if stat.S_ISLNK(status.st_mode) else None
        except OSError:
            return  # reading it raises the error
        yield part, status
        if target is None:
            here = part
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        here = Path("/") if target.is_absolute() else here
        rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def caller() -> pwd.struct_passwd | None:
    """Return the user who called sudo or doas, or None."""
    if os.geteuid():
        return None
    name = os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER")
    try:
        return pwd.getpwnam(name) if name else None
    except KeyError:
        return None


def _trusted() -> frozenset[int]:
    """Return the IDs of users whose files root may use; the owner of this program can become root already."""
    user = caller()
    return frozenset({0, _owner_of_program(), *([user.pw_uid] if user else [])})


def _groups() -> frozenset[int]:
    user = caller()
    return frozenset({0, *([user.pw_gid] if user else [])})


@cache
def _owner_of_program() -> int:
    return os.stat(__file__).st_uid


def _is_unmapped(uid: int) -> bool:
    """Return whether a user has no ID in this user namespace, whose root is an ordinary user of the host."""
    if uid != int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii")):
        return False
    mapped = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    return mapped != ["0", "0", "4294967295"]


def _user_name(uid: int) -> str:
    try:
        return f"{uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return str(uid)
