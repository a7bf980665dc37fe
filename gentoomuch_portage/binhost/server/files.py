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
_KEPT = 256
"""Files that are kept open."""


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
        try:
            below = os.readlink(f"/proc/self/fd/{number}").startswith(f"{os.readlink(f'/proc/self/fd/{top}')}/")
        except OSError:
            os.close(number)
            raise
    except (OSError, ValueError):
        return None
    finally:
        os.close(top)
    seen = os.fstat(number)
    if not below or not stat.S_ISREG(seen.st_mode):
        os.close(number)
        return None
    return Opened(number, seen.st_size, seen.st_mtime_ns, seen.st_ino)


class Recent:
    """Files that were asked for lately, kept open: one look by name then does for what takes eight calls.

    A file is the one that was opened as long as its name leads to the same inode, unchanged.
    """

    def __init__(self, root: Path) -> None:
        """Open nothing yet."""
        self._root, self._kept = root, dict[str, Opened]()

    def opened(self, name: str) -> Opened | None:
        """As ``opened``. The descriptor is the caller's, its place in the file is not: read at positions."""
        kept = self._kept.get(name)
        if kept is None or not self._same(kept, name):
            self._close(name)
            if (kept := opened(self._root, name)) is None:
                return None
            if len(self._kept) >= _KEPT:
                self._close(next(iter(self._kept)))
            self._kept[name] = kept
        return Opened(os.dup(kept.number), kept.size, kept.mtime_ns, kept.inode)

    def _same(self, kept: Opened, name: str) -> bool:
        try:
            seen = os.stat(f"{self._root}/{name}")
        except OSError:
            return False
        return (seen.st_ino, seen.st_mtime_ns, seen.st_size) == (kept.inode, kept.mtime_ns, kept.size)

    def _close(self, name: str) -> None:
        if (kept := self._kept.pop(name, None)) is not None:
            os.close(kept.number)

    def forget(self) -> None:
        """Close all, for a file that was removed takes its room until then."""
        for name in [*self._kept]:
            self._close(name)


def identity(root: Path, name: str = "Packages") -> str:
    """What changes whenever a file does; empty where there is none."""
    if (found := opened(root, name)) is None:
        return ""
    os.close(found.number)
    return found.identity
