# SPDX-License-Identifier: GPL-2.0-or-later
"""Read files of the state and the cache, also if they are damaged.

``recall`` reads a file that can be written again, and returns None if it is damaged. ``load`` reads a file that cannot
be written again, and raises one error with its path and a hint. Neither waits for a pipe, reads without a limit, or
raises an exception of a parser.
"""

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from gentoomuch_portage.errors import BadFile, unreadable

MOST = 64 << 20
"""Bytes. All files of ours are smaller; the history is rotated long before."""
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""Exceptions of parsers for a text with an unexpected format."""
_T = TypeVar("_T")


def read_bytes(path: Path, *, most: int = MOST) -> bytes:
    """Read a regular file.

    Raises:
        FileNotFoundError: it is missing, or a link to a missing file.
        OSError: it cannot be read, is not a regular file, or has more than ``most`` bytes.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(0, f"it has more than {most} bytes", str(path))
    return content


@contextmanager
def open_regular(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file for reading, without waiting for a pipe.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is not a regular file", str(path))
        yield file


def recall(path: Path, parse: Callable[[str], _T]) -> _T | None:
    """Read a file that can be written again.

    Args:
        parse: converts its text; may raise an exception of ``DAMAGED``.

    Returns:
        What ``parse`` returns; None if the file is missing, damaged or unreadable.
    """
    try:
        return parse(read_bytes(path).decode())
    except (OSError, *DAMAGED):
        return None


def has_content(path: Path, content: bytes) -> bool:
    """Return whether a file can be read and has this content."""
    try:
        return read_bytes(path, most=len(content)) == content
    except OSError:
        return False


def load(path: Path, parse: Callable[[str], _T], what: str, *, hint: str = "") -> _T | None:
    """Read a file that cannot be written again.

    Args:
        parse: converts its text; may raise an exception of ``DAMAGED``.
        what: its purpose: ``a ledger``.
        hint: default: restore the file, or remove it.

    Returns:
        What ``parse`` returns; None if the file is missing.

    Raises:
        BadFile: it cannot be read, is damaged, or is a link to a missing file.
    """
    try:
        return parse(read_bytes(path).decode())
    except FileNotFoundError as error:
        if not path.is_symlink():
            return None
        raise BadFile(path, 0, f"not {what}: a link to a missing file", hint=hint or restore_hint(path)) from error
    except PermissionError as error:
        raise unreadable(path, error) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadFile(path, 0, f"cannot read {what}: {reason}", hint=hint or restore_hint(path)) from error
    except DAMAGED as error:
        line = int(getattr(error, "lineno", 0))
        reason = "" if isinstance(error, KeyError | RecursionError) else f": {error}"
        raise BadFile(path, line, f"not {what}{reason}", hint=hint or restore_hint(path)) from error


def restore_hint(path: Path) -> str:
    """Return the hint for a damaged file of the state."""
    return f"restore it, or remove it: {removal_command(path)}"


def removal_command(path: Path) -> str:
    """Return the command that removes a file, or renames a directory in its place."""
    there = path
    with suppress(OSError):  # it is in a directory that this user cannot enter
        if path.is_symlink() or path.is_file():
            return f"rm {shlex.quote(str(path))}"
        there = next((above for above in path.parents if above.is_file()), path)
    return f"mv {shlex.quote(str(there))} {shlex.quote(f'{there}.bad')}"
