# SPDX-License-Identifier: GPL-2.0-or-later
"""Map request paths to files of a binhost, and open them."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

_INDEX = re.compile(r"Packages(\.gz|\.zst|\.asc)?|(key|revoked)\.asc|gm-index(/[\w+@-][\w.+@-]{0,200}){1,3}", re.ASCII)
_PACKAGE = re.compile(r"([\w+@-][\w.+@-]{0,200}/){0,4}[\w+@-][\w.+@-]{0,250}\.(gpkg\.tar|tbz2|xpak)", re.ASCII)
_LONGEST = 1000
"""Maximum bytes of a path; the longest path of a Gentoo package has less than 200."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file open for reading; the caller closes it."""

    number: int
    size: int
    mtime_ns: int
    inode: int

    @property
    def identity(self) -> str:
        """A string that changes whenever the content does."""
        return f"{self.mtime_ns:x}-{self.size:x}-{self.inode:x}"


def parse_name(path: str) -> str:
    """Return the file name that the path of a request means; empty if it is not a name of a binhost.

    Args:
        path: escaped as in the request, without the query.
    """
    if len(path) > _LONGEST or not path.startswith("/"):
        return ""
    name = unquote_to_bytes(path[1:]).decode("utf-8", "replace")
    return name if _INDEX.fullmatch(name) or _PACKAGE.fullmatch(name) else ""


def open_file(root: Path, name: str) -> OpenFile | None:
    """Open a file of a binhost; None if it does not exist.

    The root is resolved each time, because it may be the link to the current generation. The opened file must be
    below it, whatever links were followed; the kernel is asked after opening, so nothing can change in between.
    """
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        number = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=top)
        try:
            below = os.readlink(f"/proc/self/fd/{number}").startswith(f"{os.readlink(f'/proc/self/fd/{top}')}/")
        except OSError:
            os.close(number)
            raise
    except (OSError, ValueError):
        return None
    finally:
        os.close(top)
    status = os.fstat(number)
    if not below or not stat.S_ISREG(status.st_mode):
        os.close(number)
        return None
    return OpenFile(number, status.st_size, status.st_mtime_ns, status.st_ino)


def find_identity(root: Path, name: str = "Packages") -> str:
    """Return a string that changes whenever a file does; empty if it is missing."""
    if (file := open_file(root, name)) is None:
        return ""
    os.close(file.number)
    return file.identity
