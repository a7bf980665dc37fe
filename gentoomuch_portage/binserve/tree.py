"""The files of a binhost: which names it has, and where they lie."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

_INDEX = re.compile(r"Packages(\.gz|\.zst|\.asc)?|key\.asc|gm-index(/[\w+@-][\w.+@-]{0,200}){1,3}", re.ASCII)
_PACKAGE = re.compile(r"([\w+@-][\w.+@-]{0,200}/){0,4}[\w+@-][\w.+@-]{0,250}\.(gpkg\.tar|tbz2|xpak)", re.ASCII)
_LONGEST = 1000
"""Bytes of a path; the longest that Gentoo has is under 200."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, open for reading; whoever has it closes it."""

    number: int
    size: int
    mtime_ns: int
    inode: int

    @property
    def identity(self) -> str:
        """What changes whenever the content does."""
        return f"{self.mtime_ns:x}-{self.size:x}-{self.inode:x}"


def name_of(path: str) -> str:
    """The name below the binhost that the path of a request means; empty where no binhost has such a name.

    Args:
        path: as it stands in the request, still escaped, without its query.
    """
    if len(path) > _LONGEST or not path.startswith("/"):
        return ""
    name = unquote_to_bytes(path[1:]).decode("utf-8", "replace")
    return name if _INDEX.fullmatch(name) or _PACKAGE.fullmatch(name) else ""


def opened(root: Path, name: str) -> Opened | None:
    """Open a file of a binhost, or None where it has none of that name.

    The root is looked at anew each time, for it may be the link to the current generation. What was opened must lie
    below it, wherever links led; asked of the kernel afterwards, nobody can change that in between.
    """
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        number = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=top)
        below = os.readlink(f"/proc/self/fd/{number}").startswith(f"{os.readlink(f'/proc/self/fd/{top}')}/")
    except (OSError, ValueError):
        return None
    finally:
        os.close(top)
    seen = os.fstat(number)
    if not below or not stat.S_ISREG(seen.st_mode):
        os.close(number)
        return None
    return Opened(number, seen.st_size, seen.st_mtime_ns, seen.st_ino)


def identity(root: Path, name: str = "Packages") -> str:
    """What changes whenever a file does; empty where there is none."""
    if (found := opened(root, name)) is None:
        return ""
    os.close(found.number)
    return found.identity
