"""What was merged in a box, read from outside: whatever lies there may have been put there by an ebuild."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST = 4096
"""Bytes of a file of the database of installed packages that names or numbers something."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")
"""Source: PMS, names of categories and packages with their versions."""


def installed(vdb: Path | None) -> list[tuple[str, int]]:
    """cpv and BUILD_ID of packages, sorted; 0 where there is no number.

    Args:
        vdb: the box's changes to its database of installed packages; None where it made none.
    """
    found = []
    for category in _folders(vdb):
        for package in _folders(category):
            number = text(package / "BUILD_ID") or "0"
            if text(package / "PF") == package.name and number.isascii() and number.isdigit():
                found.append((f"{category.name}/{package.name}", int(number)))
    return found


def _folders(above: Path | None) -> Iterator[Path]:
    if above is not None:
        with suppress(OSError), os.scandir(above) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)


def text(file: Path, last: int = 0) -> str:
    """What a small plain file says, without blanks around it; empty where there is none, or no text.

    Args:
        last: of a larger file, so many bytes of its end.
    """
    with suppress(OSError, UnicodeDecodeError):
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            seen = os.fstat(number)
            if stat.S_ISREG(seen.st_mode) and (last or seen.st_size <= MOST):
                if last:
                    os.lseek(number, max(0, seen.st_size - last), os.SEEK_SET)
                return os.read(number, last or MOST).decode(errors="replace" if last else "strict").strip()
        finally:
            os.close(number)
    return ""
