"""A work tree as it is: what git would not ignore, uncommitted changes included, copied to where a build can read it.

The copy is what is digested and what is built, so a file that changes meanwhile is in both or in neither.
"""

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gentoomuch_portage import fs, git
from gentoomuch_portage.fs import within
from gentoomuch_portage.git import BadTree

NOT_SOURCES = frozenset({".git", ".hg", ".svn", ".bzr", "_darcs", "CVS", "RCS", "SCCS", ".jj", "_FOSSIL_", ".fslckout"})
_FICLONE = 0x40049409
"""Share the blocks of a file, where the file system can. Source: ioctl_ficlone(2)."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNUSED = 7 * 86_400
"""Seconds after which a copy that nobody used is removed."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of a work tree."""

    path: Path
    digest: str
    """SHA-256 over path, kind and content of all its files."""
    version: str
    """As ``git.version`` tells it."""


def copied(project: Path, cache: Path) -> Tree:
    """Copy a work tree; one that is there already is taken.

    Raises:
        BadTree: there is something in it that cannot be copied.
        NoPrivilege: the cache cannot be written.
    """
    stands = cache / "trees"
    with fs.fresh_folder(stands) as fresh:
        _copy_all(project, fresh)
        readable(fresh)
        digest = digested(fresh)
        place = stands / digest
        try:
            fresh.rename(place)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            if digested(place) != digest:  # somebody wrote into it
                fs.remove_unheld(place)
                fresh.rename(place)
    os.utime(place)
    _collect(stands)
    return Tree(place, digest, git.version(project))


def listed(project: Path) -> Iterator[str]:
    """The files of a work tree, by path below it: with git what it does not ignore, without it all.

    Raises:
        BadTree: git cannot list it; a name is no UTF-8, or leads out of the tree.
    """
    names = git.listed(project)
    if names is None:
        yield from _all(project)
        return
    for name in _there(project, names):
        path = project / name
        if path.is_dir() and not path.is_symlink():  # a submodule, or a repository in this one
            yield from (f"{name.rstrip('/')}/{below}" for below in listed(path))
        else:
            yield name


def _there(project: Path, names: list[str]) -> list[str]:
    """The names that are there: git lists what is deleted, or stands below a folder that is a link now, as well.

    Raises:
        BadTree: as ``listed``.
    """
    for name in names:
        if "\ufffd" in name:
            raise BadTree(project, f"the name {name!r} is no UTF-8")
        if name.startswith("/") or ".." in name.split("/"):  # an index may say what git itself never wrote
            raise BadTree(project, f"the name {name!r} leads out of it")
    above = {name: {str(one) for one in PurePosixPath(name).parents} for name in names}
    links = {folder for folder in set().union(*above.values()) - {"."} if (project / folder).is_symlink()}
    return [name for name in names if not above[name] & links and os.path.lexists(project / name)]


def _all(project: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCES)
        above = Path(folder)
        links = [name for name in folders if (above / name).is_symlink()]
        for name in [*names, *links]:
            if name not in NOT_SOURCES:
                yield str((above / name).relative_to(project))


def _copy_all(project: Path, fresh: Path) -> None:
    """Copy what is listed, folder by folder; neither is walked through a link, whatever is swapped meanwhile.

    Raises:
        BadTree: there is something that is neither a file nor a link, or cannot be read.
    """
    with _opened(project) as source, _opened(fresh) as target:
        for above, names in itertools.groupby(sorted(set(listed(project))), lambda name: PurePosixPath(name).parent):
            meant = project / above
            try:
                with within(source, above.parts) as there, within(target, above.parts, make=True) as here:
                    for name in names:
                        meant = project / name
                        _copy(there, here, meant.name)
            except OSError as error:
                raise BadTree(meant, (error.strerror or "it cannot be read").lower()) from error


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield number
    finally:
        os.close(number)


def _copy(there: int, here: int, name: str) -> None:
    """Copy a file or a link from one open folder to another, its blocks shared where the file system can.

    Raises:
        OSError: it is neither, or cannot be read.
    """
    seen = os.stat(name, dir_fd=there, follow_symlinks=False)
    if stat.S_ISLNK(seen.st_mode):
        os.symlink(os.readlink(name, dir_fd=there), name, dir_fd=here)
        return
    _plain(seen)
    with os.fdopen(os.open(name, _READ, dir_fd=there), "rb") as read:
        seen = os.fstat(read.fileno())
        _plain(seen)  # once more, for what was swapped in between
        with os.fdopen(os.open(name, _WRITE, 0o644, dir_fd=here), "wb") as write:
            try:
                fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
            except OSError:
                shutil.copyfileobj(read, write)
            write.flush()
            os.fchmod(write.fileno(), 0o755 if seen.st_mode & 0o100 else 0o644)
            os.utime(write.fileno(), ns=(seen.st_mtime_ns, seen.st_mtime_ns))


def _plain(seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(0, "it is neither a file nor a link")


def digested(folder: Path) -> str:
    """SHA-256 over path, kind and content of all files below a folder."""
    total = hashlib.sha256()
    for name in sorted(str(path.relative_to(folder)) for path in folder.rglob("*")):
        path = folder / name
        if path.is_symlink():
            kind, content = b"link", os.fsencode(os.readlink(path))
        elif path.is_file():
            kind, content = (b"program" if path.stat().st_mode & 0o100 else b"file"), path.read_bytes()
        else:
            continue
        total.update(b"%s\0%s\0%d\0%s" % (os.fsencode(name), kind, len(content), content))
    return total.hexdigest()


def readable(folder: Path) -> None:
    """Let everybody read what lies below a folder, whatever the umask is: builds run as a user of their own."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777 | (0o555 if path.is_dir() else 0o444))


def _collect(stands: Path) -> None:
    for folder in stands.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _UNUSED:
                fs.remove_unheld(folder)
