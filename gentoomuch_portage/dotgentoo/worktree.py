# SPDX-License-Identifier: GPL-2.0-or-later
"""Copy a work tree for a build: all files that git does not ignore, including uncommitted changes.

Digest and build both use the copy, so a concurrent change affects both or neither.
"""

import contextlib
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

from gentoomuch_portage import fs, git_reader
from gentoomuch_portage.errors import NO_ROOM, Busy, cannot_write
from gentoomuch_portage.fs import within
from gentoomuch_portage.git_reader import BadTree

NOT_SOURCES = frozenset({".git", ".hg", ".svn", ".bzr", "_darcs", "CVS", "RCS", "SCCS", ".jj", "_FOSSIL_", ".fslckout"})
_FICLONE = 0x40049409
"""Clone a file, if the file system supports it. Source: ioctl_ficlone(2)."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNUSED = 7 * 86_400
"""Seconds after which an unused copy is removed."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of a work tree."""

    path: Path
    digest: str
    """SHA-256 of path, type and content of all files."""
    version: str
    """As ``git_reader.describe`` returns it."""


def copy_tree(project: Path, cache: Path) -> Tree:
    """Copy a work tree, or reuse an equal copy.

    Raises:
        BadTree: a file cannot be copied.
        NoPrivilege: the cache cannot be written.
        Busy: an equal copy was changed, and another run uses it.
    """
    trees = cache / "trees"
    with fs.fresh_folder(trees, cache=cache) as fresh:
        _copy_all(project, fresh)
        make_readable(fresh)
        digest = compute_digest(fresh)
        place = trees / digest
        while not fs.rename_folder(fresh, place) and not _is_intact(place, digest):  # it was changed
            _remove_changed(place)
    os.utime(place)
    _remove_unused(trees)
    return Tree(place, digest, git_reader.describe(project))


def list_files(project: Path) -> Iterator[str]:
    """Yield the paths of files in a work tree: with git, those that it does not ignore; otherwise all.

    Raises:
        BadTree: git fails; a name is not UTF-8, or leads out of the tree.
    """
    names = git_reader.list_files(project)
    if names is None:
        yield from _walk(project)
        return
    for name in _existing_files(project, names):
        path = project / name
        if path.is_dir() and not path.is_symlink():  # a submodule, or a repository in this one
            yield from (f"{name.rstrip('/')}/{below}" for below in list_files(path))
        else:
            yield name


def _existing_files(project: Path, names: list[str]) -> list[str]:
    """Return the existing paths: git also lists deleted files, and files below a directory that is now a link.

    Raises:
        BadTree: as ``list_files``.
    """
    for name in names:
        if "\ufffd" in name:
            raise BadTree(project, f"the name {name!r} is not UTF-8")
        if name.startswith("/") or ".." in name.split("/"):  # an index may have paths that git itself never writes
            raise BadTree(project, f"the name {name!r} leads out of the work tree")
    above = {name: {str(parent) for parent in PurePosixPath(name).parents} for name in names}
    links = {folder for folder in set().union(*above.values()) - {"."} if (project / folder).is_symlink()}
    return [name for name in names if not above[name] & links and os.path.lexists(project / name)]


def _walk(project: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCES)
        above = Path(folder)
        links = [name for name in folders if (above / name).is_symlink()]
        for name in [*names, *links]:
            if name not in NOT_SOURCES:
                yield str((above / name).relative_to(project))


def _copy_all(project: Path, fresh: Path) -> None:
    """Copy the listed files per directory, without following links, also if paths are replaced meanwhile.

    Raises:
        BadTree: a path is neither a file nor a link, or unreadable.
    """
    with _open_directory(project) as source, _open_directory(fresh) as target:
        for above, names in itertools.groupby(
            sorted(set(list_files(project))), lambda name: PurePosixPath(name).parent
        ):
            meant = project / above
            try:
                with within(source, above.parts) as there, within(target, above.parts, make=True) as here:
                    for name in names:
                        meant = project / name
                        _copy(there, here, meant.name)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise
                raise BadTree(meant, (error.strerror or "unreadable").lower()) from error


@contextlib.contextmanager
def _open_directory(folder: Path) -> Iterator[int]:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield number
    finally:
        os.close(number)


def _copy(there: int, here: int, name: str) -> None:
    """Copy a file or a link between open directories; clone it if the file system supports that.

    Raises:
        OSError: it is neither, or unreadable.
    """
    seen = os.stat(name, dir_fd=there, follow_symlinks=False)
    if stat.S_ISLNK(seen.st_mode):
        os.symlink(os.readlink(name, dir_fd=there), name, dir_fd=here)
        return
    _check_regular(seen)
    with os.fdopen(os.open(name, _READ, dir_fd=there), "rb") as read:
        seen = os.fstat(read.fileno())
        _check_regular(seen)  # check again: the path may have been replaced
        with os.fdopen(os.open(name, _WRITE, 0o644, dir_fd=here), "wb") as write:
            try:
                fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
            except OSError:
                shutil.copyfileobj(read, write)
            write.flush()
            os.fchmod(write.fileno(), 0o755 if seen.st_mode & 0o100 else 0o644)
            os.utime(write.fileno(), ns=(seen.st_mtime_ns, seen.st_mtime_ns))


def _check_regular(seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(0, "neither a file nor a link")


def compute_digest(folder: Path) -> str:
    """Compute the SHA-256 of path, type and content of all files below a directory."""
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


def _is_intact(place: Path, digest: str) -> bool:
    try:
        return compute_digest(place) == digest
    except OSError:
        return False


def _remove_changed(folder: Path) -> None:
    """Remove a copy that was changed; another process may replace it meanwhile.

    Raises:
        Busy: another process has locked it.
        NoPrivilege: this user cannot read or remove it.
    """
    if fs.remove_unlocked(folder):
        return
    try:
        with fs.try_lock(folder) as is_free:
            if is_free and os.access(folder.parent, os.W_OK | os.X_OK):
                return  # another process has replaced it, or its lock has ended
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise cannot_write(folder, error, verb="replace", hint=fs.inspect_hint(folder)) from error
    raise Busy(f"{folder} was changed, and another run uses it", hint="try again when that run has ended")


def make_readable(folder: Path) -> None:
    """Make all files below a directory world-readable: builds run as another user."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777 | (0o555 if path.is_dir() else 0o444))


def _remove_unused(trees: Path) -> None:
    for folder in trees.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _UNUSED:
                fs.remove_unlocked(folder)
