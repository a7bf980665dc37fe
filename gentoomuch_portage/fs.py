# SPDX-License-Identifier: GPL-2.0-or-later
"""Write files atomically, cache results, lock directories, and open files without following links."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from gentoomuch_portage import stored
from gentoomuch_portage.errors import NO_ROOM, MachineError, NoPrivilege, cannot_write, refused

_T = TypeVar("_T")
STDIO = Path("-")
"""The argument for standard output, or standard input."""
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK
"""Follow no link, and wait for no pipe."""
_MOST_LINKS = 40
"""Nested links that Linux follows. Source: path_resolution(7)."""


def write(path: Path, text: str | bytes, *, mode: int | None = None, durable: bool = True) -> None:
    """Replace a file atomically: a reader sees the old content or the new one.

    A link is replaced, never followed.

    Args:
        mode: default: owner, group and mode of the old file; 0644 for a new one.
        durable: wait for the disk; otherwise a power failure may leave an empty file.

    Raises:
        NoPrivilege: the directory cannot be written, or a directory has the name of the file.
        MachineError[disk-full], ReadOnly: the file system is full or read-only.
    """
    ensure(path.parent)
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
            out.flush()
            if durable:
                os.fsync(out.fileno())
            _set_mode(out.fileno(), mode, path)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error, hint=inspect_hint(path)) from error
        raise


def create(path: Path, text: str) -> None:
    """Create a file atomically.

    Raises:
        FileExistsError: the path exists.
        NoPrivilege, MachineError[disk-full], ReadOnly: it cannot be written.
    """
    ensure(path.parent)
    aside = path.with_name(f".{path.name}.{os.getpid():08}")
    try:
        write(aside, text)
        try:
            os.link(aside, path)
        except FileExistsError:
            raise
        except OSError as error:
            raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_cache(path: Path, text: str | bytes, *, mode: int | None = None, durable: bool = False) -> None:
    """Write a file of a cache; a directory in its place, or a file that its owner cannot read, is removed.

    Args:
        mode: as for ``write``.
        durable: as for ``write``; readers of a cache ignore an empty file.

    Raises:
        NoPrivilege, MachineError[disk-full], ReadOnly: it cannot be written.
    """
    with suppress(OSError):  # write raises it with a hint
        old = path.lstat().st_mode
        if stat.S_ISDIR(old) or not old & stat.S_IRUSR:  # the new file would have the same mode
            remove(path)
    write(path, text, mode=mode, durable=durable)


def remove(path: Path) -> None:
    """Remove a file of a cache, or a directory in its place, if it exists.

    Raises:
        NoPrivilege, ReadOnly: it cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            _remove_tree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error, verb="remove") from error


def _remove_tree(folder: Path) -> None:
    """Remove a directory, also if it has directories that their owner, who is this user, cannot list or change."""
    try:
        shutil.rmtree(folder)
    except PermissionError:
        folder.chmod(0o700)
        for above, folders, _ in os.walk(folder):
            for name in folders:
                if not (below := Path(above, name)).is_symlink():
                    below.chmod(0o700)
        shutil.rmtree(folder)


def unlink(path: Path) -> None:
    """Remove a file of the state if it exists.

    Raises:
        NoPrivilege, ReadOnly: it cannot be removed, as it is a directory.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error, verb="remove", hint=inspect_hint(path)) from error


def inspect_hint(path: Path) -> str:
    """Return the hint for a path that is not a file of ours."""
    return f"look at it, then remove it: ls -ld {shlex.quote(str(path))}"


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Convert exceptions of a full or read-only file system in the block into errors with a path and a hint.

    Args:
        place: a path for the error if the exception has none.

    Raises:
        MachineError[disk-full], ReadOnly: the file system is full or read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise refused(error, place) from error
        raise


def check_writable(path: Path) -> None:
    """Check before the first of several changes that files can be written below a path.

    Raises:
        NoPrivilege, ReadOnly: the nearest directory that exists cannot be written.
    """
    existing = next(above for above in (path, *path.parents) if exists(above))
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return
    number = errno.EACCES if existing.is_dir() else errno.ENOTDIR
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        number = errno.EROFS
    raise cannot_write(existing, OSError(number, os.strerror(number)))


def send(path: Path, text: str | bytes) -> None:
    """Write a text to a path of a user: a file is replaced atomically, a stream is written to.

    Args:
        path: ``-`` is standard output.

    Raises:
        NoPrivilege: it cannot be written.
    """
    try:
        if not is_stream(path):
            path.absolute().parent.stat()  # a mistyped directory must not be created
            write(path.absolute(), text)
            return
        with open(1 if path == STDIO else path, "wb", closefd=path != STDIO) as out:
            out.write(text if isinstance(text, bytes) else text.encode())
    except OSError as error:
        name = "standard output" if path == STDIO else path.absolute()
        raise cannot_write(name, error, hint="name another file") from error


def is_stream(path: Path) -> bool:
    """Return whether a path must not be replaced by a file: ``-``, a device, a pipe, or a link such as /dev/stdout."""
    if path == STDIO:
        return True
    hop = path.absolute()
    for _ in range(_MOST_LINKS):
        if not hop.is_symlink():
            break
        if hop.is_relative_to("/dev") or hop.is_relative_to("/proc"):
            return True
        hop = hop.parent / hop.readlink()
    return hop.exists() and not (hop.is_file() or hop.is_dir())


def _set_mode(number: int, mode: int | None, path: Path) -> None:
    """Set the mode of a new file, or owner, group and mode of the file that it replaces."""
    if mode is None:
        mode = 0o644
        with suppress(OSError):  # it is missing, or belongs to another user
            before = path.stat()
            mode = before.st_mode & 0o777
            os.fchown(number, before.st_uid, before.st_gid)
    os.fchmod(number, mode)


def append(path: Path, line: str, *, follow: bool = True) -> None:
    """Append a line to a file; lines of concurrent runs do not mix.

    One write to a descriptor opened for appending is atomic (Source: write(2), O_APPEND).

    Args:
        follow: False if a build may have replaced the file.

    Raises:
        NoPrivilege: it cannot be written; or it is a link or a pipe, and ``follow`` is False.
    """
    ensure(path.parent)
    try:
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | (0 if follow else _PLAIN), 0o644)
    except OSError as error:
        raise cannot_write(path, error, hint="name another file" if follow else inspect_hint(path)) from error
    try:
        write_line(number, str(path), line)
    finally:
        os.close(number)


def write_line(number: int, name: str, line: str) -> None:
    """Write a whole line to a descriptor; a partial line on a full disk is removed.

    Raises:
        NoPrivilege, MachineError[disk-full]: it cannot be written.
    """
    left = memoryview(f"{line}\n".encode())
    done = 0
    try:
        while left:
            count = os.write(number, left)
            done, left = done + count, left[count:]
    except OSError as error:
        _truncate(number, done)
        raise cannot_write(name, error, hint="name another file") from error


def _truncate(number: int, count: int) -> None:
    """Remove the last bytes of a regular file, unless another process has appended to it."""
    status = os.fstat(number)
    if count and stat.S_ISREG(status.st_mode) and os.lseek(number, 0, os.SEEK_CUR) == status.st_size:
        os.ftruncate(number, status.st_size - count)


@contextmanager
def public_umask() -> Iterator[None]:
    """Create files in the block that other users can read, such as the user that Portage builds as."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def exists(path: Path) -> bool:
    """Return whether a path exists, following links, as ``Path.exists`` does before Python 3.14.

    Raises:
        OSError: the system cannot decide, for example for a name that is too long.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def ensure(folder: Path, *, mode: int = 0o755, cache: Path | None = None) -> Path:
    """Create a directory with its parents if it is missing, and return it.

    Args:
        cache: below this directory, files in the place of directories are removed; default: nowhere.

    Raises:
        NoPrivilege: it cannot be created.
    """
    if cache is not None:
        remove_obstacle(folder, cache)
    try:
        with public_umask():
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        hint = "run it as root, or name another place (gm-emerge --gm-help)"
        if error.errno in {errno.EEXIST, errno.ENOTDIR, errno.ELOOP}:
            hint = inspect_hint(next(above for above in (folder, *folder.parents) if os.path.lexists(above)))
        raise cannot_write(folder, error, verb="make", hint=hint) from error
    return folder


def remove_obstacle(folder: Path, cache: Path) -> None:
    """Remove the file, or the link that leads to no directory, that is in the place of a directory of a cache.

    Args:
        cache: what is not below this directory is kept.

    Raises:
        NoPrivilege, ReadOnly: it cannot be removed.
    """
    nearest = next(above for above in (folder, *folder.parents) if os.path.lexists(above))
    if cache in nearest.parents and not nearest.is_dir():
        remove(nearest)


def rename_folder(fresh: Path, place: Path) -> bool:
    """Rename a new directory of a cache; a file or a link in its place is removed.

    Returns:
        False if a directory with content has the name.
    """
    while True:
        try:
            fresh.rename(place)
            return True
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            if error.errno != errno.ENOTDIR:
                raise
        place.unlink(missing_ok=True)


def private_folder(folder: Path) -> Path:
    """Create a directory below one that all users may write, and check that it belongs to this user.

    Raises:
        NoPrivilege: it belongs to another user, or is a link; or it cannot be created.
    """
    ensure(folder)
    if not is_own(folder):
        raise NoPrivilege(f"{folder} belongs to another user, or is a link", hint=inspect_hint(folder))
    return folder


def is_own(folder: Path) -> bool:
    """Return whether a path is a directory, and no link, that only this user or root owns and can write to."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    return status.st_uid in {os.geteuid(), 0} and os.access(folder, os.W_OK)


@contextmanager
def fresh_folder(parent: Path, *, prefix: str = ".new-", cache: Path | None = None) -> Iterator[Path]:
    """Create a directory, lock it while the block runs, and remove it afterwards unless it was renamed.

    Args:
        cache: as for ``ensure``, for the parent.

    Raises:
        NoPrivilege: the parent cannot be written.
    """
    ensure(parent, cache=cache)
    folder, number = _locked_folder(parent, prefix)
    folder.chmod(0o755)
    try:
        with disk_errors(parent):
            yield folder
    finally:
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        os.close(number)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        except OSError as error:
            raise cannot_write(parent, error) from error
        with suppress(FileNotFoundError):  # until it is locked, it may be removed as one of a killed run
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(number, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, number
            os.close(number)


def lock_shared(folder: Path) -> int | None:
    """Lock a directory, shared, until the returned descriptor is closed; None if the directory was removed.

    The kernel releases the lock with the process.
    """
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise
        return None
    fcntl.flock(number, fcntl.LOCK_SH)
    with suppress(FileNotFoundError):
        if folder.stat().st_ino == os.fstat(number).st_ino:
            return number
    os.close(number)
    return None


def remove_unlocked(folder: Path) -> bool:
    """Remove a directory unless another process has locked it, and return whether it does not exist any more.

    It is renamed first, so that no process sees a part of it.
    """
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.stat().st_ino != os.fstat(number).st_ino:
            return False  # it was replaced by another one, which may be locked
        aside = tempfile.mkdtemp(prefix=f".old-{folder.name.lstrip('.')}-", dir=folder.parent)
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
        return True
    except FileNotFoundError:
        return True
    except (BlockingIOError, PermissionError):
        return False
    finally:
        os.close(number)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a lock file, which is created if it is missing.

    Raises:
        NoPrivilege: it cannot be opened, or is a link.
    """
    ensure(path.parent)
    try:
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | _PLAIN, 0o644)
    except OSError as error:
        raise cannot_write(path, error, verb="lock", hint=inspect_hint(path)) from error
    with os.fdopen(number, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Try to hold an exclusive lock on a directory while the block runs; False, at once, if another process has one."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield lock_at_once(number)
    finally:
        os.close(number)


def lock_at_once(number: int) -> bool:
    """Hold an exclusive lock on an open file until it is closed; return False if another process has one."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def within(top: int, path: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """Open a directory below another one, without following links.

    Args:
        top: a descriptor of the other one.
        path: names; none may be ``..``.
        make: create missing directories.

    Raises:
        OSError: a part of the path is a link, not a directory, or missing.
    """
    number = os.dup(top)
    try:
        for part in path:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=number)
            below = os.open(part, FOLDER, dir_fd=number)
            os.close(number)
            number = below
        yield number
    finally:
        os.close(number)


@contextmanager
def open_below(root: Path, file: Path) -> Iterator[IO[bytes]]:
    """Open a file of a root for reading, without following links below the root, which could lead to files of the host.

    Args:
        file: its path, including that of the root.

    Raises:
        OSError: it is missing, or a part of its path below the root is a link.
    """
    *above, name = file.relative_to(root).parts
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with within(top, tuple(above)) as at:
            number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(top)
    with os.fdopen(number, "rb") as content:
        yield content


_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Keys that are names of files as they are."""


class Cache:
    """A directory of cached results: one JSON file per key, so that concurrent runs need no lock.

    Each file also contains its key and a stamp, which identifies the input of the result.
    """

    def __init__(self, folder: Path, *, mode: int = 0o644) -> None:
        """Open a cache; nothing is read yet.

        Args:
            folder: created with the first result.
            mode: of its files.
        """
        self.folder, self._mode = folder, mode

    def path(self, key: str) -> Path:
        """Return the file of a key, which may be missing."""
        if _PLAIN_KEY.fullmatch(key):
            return self.folder / f"{key}.json"
        return self.folder / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}.json"

    def load(self, key: str, parse: Callable[[Any], _T | None], *stamps: Any) -> _T | None:
        """Load the result for a key.

        Args:
            parse: converts the value from JSON; None or an exception of ``stored.DAMAGED`` means that it is not valid.
            stamps: accepted stamps; default: only the empty string.

        Returns:
            What ``parse`` returns; None if there is no result with one of these stamps.
        """
        return self.load_file(self.path(key), parse, *stamps)

    def load_file(self, path: Path, parse: Callable[[Any], _T | None], *stamps: Any) -> _T | None:
        """Load a result from one of ``files``; see ``load``."""

        def parse_file(text: str) -> _T | None:
            entry = json.loads(text)
            is_current = self.path(entry["key"]) == path and entry["stamp"] in (stamps or ("",))
            return parse(entry["value"]) if is_current else None

        return stored.recall(path, parse_file)

    def files(self) -> list[Path]:
        """Return the files of all results, sorted."""
        return sorted(self.folder.glob("*.json"))

    def store(self, key: str, value: Any, stamp: Any = "") -> None:
        """Store the result for a key; if it cannot be written, it is computed again next time.

        Args:
            value: for JSON, as well as the stamp.
        """
        entry = json.dumps({"key": key, "stamp": stamp, "value": value})
        with suppress(MachineError):
            write_cache(self.path(key), entry, mode=self._mode)
