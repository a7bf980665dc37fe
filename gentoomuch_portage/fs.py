"""Write whole or not at all; hold a folder so that nobody takes it away.

Folders opened one below the other, each held open: no path is walked through a link, ever.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gentoomuch_portage.errors import NoPrivilege

STDIO = Path("-")
"""What users write for the standard output, or for the standard input."""
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK
"""No link is followed, and no pipe waited for."""
_MOST_LINKS = 40
"""Links behind each other that Linux follows. Source: path_resolution(7)."""


def write(path: Path, text: str | bytes, *, mode: int | None = None, durable: bool = True) -> None:
    """Put a text in the place of a file, in one step: a reader sees the old one or the new one.

    A link at that place is replaced, never written through.

    Args:
        mode: None for owner, group and mode of the file that stands there; 0644 where there is none.
        durable: wait for the disk; without that a power failure may leave an empty file.

    Raises:
        NoPrivilege: the folder cannot be written.
    """
    ensure(path.parent)
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        told = f"{path.parent} cannot be written: {error.strerror}"
        raise NoPrivilege(told, remedy="run it as the owner of that folder") from error
    fresh = Path(name)
    try:
        with os.fdopen(number, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
            out.flush()
            if durable:
                os.fsync(out.fileno())
            _given(out.fileno(), mode, path)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def send(path: Path, text: str | bytes) -> None:
    """Put a text where a user wants it: a file is written as a whole, into anything else it goes as it is.

    Args:
        path: ``-`` is the standard output.

    Raises:
        NoPrivilege: it cannot be written.
    """
    try:
        if not is_stream(path):
            path.absolute().parent.stat()  # or a folder would be made of a name that was mistyped
            write(path.absolute(), text)
            return
        with open(1 if path == STDIO else path, "wb", closefd=path != STDIO) as out:
            out.write(text if isinstance(text, bytes) else text.encode())
    except OSError as error:
        why = (error.strerror or "it fails").lower()
        name = "standard output" if path == STDIO else path.absolute()
        raise NoPrivilege(f"{name} cannot be written: {why}", remedy="name another file") from error


def is_stream(path: Path) -> bool:
    """Whether a name means something that no new file must take the place of.

    That is ``-``, a device, a pipe, or a link to an open file, as /dev/stdout is.
    """
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


def _given(number: int, mode: int | None, path: Path) -> None:
    """Give a new file its mode, or all that of the file in whose place it comes."""
    if mode is None:
        mode = 0o644
        with suppress(OSError):  # there is none, or it is somebody else's
            before = path.stat()
            mode = before.st_mode & 0o777
            os.fchown(number, before.st_uid, before.st_gid)
    os.fchmod(number, mode)


def append(path: Path, line: str, *, follow: bool = True) -> None:
    """Add a line to a file; lines of runs that end together do not mix.

    One write of a descriptor opened for appending is whole (Source: write(2), O_APPEND).

    Args:
        follow: False where a build may have laid something else in the place of a file of ours.

    Raises:
        NoPrivilege: it cannot be written; or it is a link or a pipe, and none is followed.
    """
    ensure(path.parent)
    try:
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | (0 if follow else _PLAIN), 0o644)
    except OSError as error:
        remedy = "name another file" if follow else f"look at it, then remove it: ls -ld {path}"
        raise NoPrivilege(f"{path} cannot be written: {error.strerror}", remedy=remedy) from error
    try:
        put(number, str(path), line)
    finally:
        os.close(number)


def put(number: int, name: str, line: str) -> None:
    """Write a line to a descriptor as a whole.

    Raises:
        NoPrivilege: it cannot be written.
    """
    try:
        os.write(number, f"{line}\n".encode())
    except OSError as error:
        raise NoPrivilege(f"{name} cannot be written: {error.strerror}", remedy="name another file") from error


@contextmanager
def for_all() -> Iterator[None]:
    """What is made in the block is for all who need it, as what emerge makes: the user Portage builds as, for one."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def ensure(folder: Path, *, mode: int = 0o755) -> Path:
    """Make a folder with its parents where it is missing, and return it.

    Raises:
        NoPrivilege: it is missing and cannot be made.
    """
    try:
        with for_all():
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        remedy = "run it as root, or name another place (gm-emerge --gm-help)"
        raise NoPrivilege(f"{folder} cannot be made: {error.strerror}", remedy=remedy) from error
    return folder


def own_folder(folder: Path) -> Path:
    """Make a folder that nobody else can have prepared, below one that all may write.

    Raises:
        NoPrivilege: it is there and belongs to somebody else, or is a link; or it cannot be made.
    """
    ensure(folder)
    held = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or held.st_uid not in {os.geteuid(), 0}:
        raise NoPrivilege(f"{folder} is not a folder of ours", remedy=f"look at it, then remove it: ls -ld {folder}")
    return folder


@contextmanager
def fresh_folder(parent: Path, *, prefix: str = ".new-") -> Iterator[Path]:
    """A new folder, locked as long as the block runs, and removed afterwards where it still stands there.

    Raises:
        NoPrivilege: the parent cannot be written.
    """
    ensure(parent)
    folder, number = _locked_folder(parent, prefix)
    folder.chmod(0o755)
    try:
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
            told = f"{parent} cannot be written: {error.strerror}"
            raise NoPrivilege(told, remedy="run it as the owner of that folder") from error
        with suppress(FileNotFoundError):  # before it is locked it may be taken for one that a killed run has left
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(number, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, number
            os.close(number)


def hold(folder: Path) -> int | None:
    """Share a lock on a folder until the returned descriptor is closed; None where the folder is gone.

    The kernel drops the lock with the process, however it ends.
    """
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    fcntl.flock(number, fcntl.LOCK_SH)
    with suppress(FileNotFoundError):
        if folder.stat().st_ino == os.fstat(number).st_ino:
            return number
    os.close(number)
    return None


def remove_unheld(folder: Path) -> bool:
    """Remove a folder unless somebody holds it; True where it is gone.

    It leaves its name first, so that nobody can find half of it.
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
            return False  # another one has taken its place since, and may be held
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
    """Be the only one in this block among all processes that name the same lock file.

    Raises:
        NoPrivilege: it cannot be opened, or is a link, which would make a file elsewhere.
    """
    ensure(path.parent)
    try:
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | _PLAIN, 0o666)
    except OSError as error:
        told = f"{path} cannot be locked: {error.strerror}"
        raise NoPrivilege(told, remedy=f"look at it, then remove it: ls -ld {path}") from error
    with os.fdopen(number, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def owned(folder: Path) -> Iterator[bool]:
    """Own a folder alone for the length of the block; False, at once, where somebody else does."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(number)


FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def within(top: int, path: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder, walked to without following a link.

    Args:
        top: a descriptor of the folder that it is below.
        path: names alone; a ``..`` among them would lead out.
        make: make what is missing.

    Raises:
        OSError: a part of the path is a link, no folder, or missing.
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
def opened(root: Path, file: Path) -> Iterator[IO[bytes]]:
    """A plain file of a root, to be read: whoever lays a link in its place shows nothing of the host's.

    Args:
        file: its path, with that of the root; links may lead to the root, and nowhere below it.

    Raises:
        OSError: it is missing, or there is a link on the way to it.
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
