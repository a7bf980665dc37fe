"""Unpack archives into a folder: owners, modes, times, links and attributes as they are, and nothing outside of it.

Every path is walked without following a link. As a program it does so as the root of a user's own range of numbers:
``python -m gentoomuch_portage.roots.unpacking FOLDER LAYERS`` with ``LAYERS`` in JSON.
"""

import errno
import json
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO

from gentoomuch_portage import console, run
from gentoomuch_portage.roots import entries
from gentoomuch_portage.roots.entries import OPAQUE, WHITEOUT, Entry
from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.tape import Packed, Told

KEPT = ("user.", "security.capability")
"""Beginnings of the attributes that come along; the others are this machine's affair, as SELinux's labels."""
DROPPED = ("user.overlay.",)
"""What overlayfs would take for its own."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ARCHIVES_FAULT = (0, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG)
_XATTR = "SCHILY.xattr."


def unpack(layers: Sequence[Packed], target: Path, *, quiet: bool = False) -> None:
    """Unpack one archive, or the layers of an image one upon the other, into an empty folder of ours.

    As an ordinary user it is done with the numbers that the system has given to that user.

    Raises:
        BadArchive: an archive goes through a link that a layer below has laid, or changed since it was checked.
        ProgramFailed: the part that is done with other numbers failed; it has said why.
    """
    if os.geteuid():
        told = json.dumps([list(one) for one in layers])
        as_root("gentoomuch_portage.roots.unpacking", str(target), told, *(["quiet"] if quiet else []))
        return
    with console.progress("unpacking", sum(one.size for one in layers), quiet=quiet) as show:
        for one in layers:
            into(one, target, lambda read: show("", read), layered=len(layers) > 1)


def as_root(module: str, *words: str) -> None:
    """Run a module of ours as the root of a namespace in which a user has many numbers.

    Raises:
        ProgramFailed: it failed.
    """
    owner = [sys.executable, "-m", "gentoomuch_portage.containers.owner"]
    run.run([*owner, sys.executable, "-m", module, *words])


def into(packed: Packed, target: Path, told: Told = lambda _read: None, *, layered: bool = False) -> None:
    """Unpack one archive upon what is in a folder.

    Args:
        layered: whiteouts remove what layers below have laid.
    """
    top = os.open(target, _FOLDER)
    try:
        if layered:  # before anything of this layer is laid, for they mean the layers below
            for entry, _ in entries.read(packed):
                if _removes(entry):
                    with _blamed(packed, entry):
                        _white_out(top, entry.path)
        _lay_all(packed, top, told)
    finally:
        os.close(top)


def _lay_all(packed: Packed, top: int, told: Told) -> None:
    folders: dict[tuple[str, ...], tarfile.TarInfo] = {}
    for entry, content in entries.read(packed, told):
        if _removes(entry):
            continue
        with _blamed(packed, entry):
            _lay(top, entry, content)
        if entry.info.isdir():
            folders[entry.path] = entry.info
        else:
            folders.pop(entry.path, None)
    for path, info in sorted(folders.items(), reverse=True):  # inner ones first: what is laid changes times
        with _within(top, path) as number:
            _dress(number, info)


def _removes(entry: Entry) -> bool:
    return bool(entry.path) and entry.path[-1].startswith(WHITEOUT)


@contextmanager
def _blamed(packed: Packed, entry: Entry) -> Iterator[None]:
    """What does not fit what was laid before is the archive's fault; a full disk is not."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ARCHIVES_FAULT:
            raise
        raise BadArchive(packed.shown, f"{entry.info.name!r}: {error.strerror}") from error


@contextmanager
def _within(top: int, path: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder, walked to without following a link."""
    number = os.dup(top)
    try:
        for part in path:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=number)
            below = os.open(part, _FOLDER, dir_fd=number)
            os.close(number)
            number = below
        yield number
    finally:
        os.close(number)


def _lay(top: int, entry: Entry, content: IO[bytes] | None) -> None:
    info = entry.info
    if info.isdir():
        _make_folder(top, entry.path)
        return
    *above, name = entry.path
    with _within(top, tuple(above), make=True) as at:
        _clear(at, name)
        if content is not None:
            number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=at)
            with os.fdopen(number, "wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
                out.flush()
                _dress(number, info)
        elif info.issym():
            os.symlink(info.linkname, name, dir_fd=at)
            _own(name, info, at)
            os.utime(name, ns=_times(info), dir_fd=at, follow_symlinks=False)
        elif info.islnk():
            _link(top, entry.target, at, name)
        else:
            os.mkfifo(name, 0o600, dir_fd=at)
            _own(name, info, at)
            os.chmod(name, info.mode & 0o7777, dir_fd=at)
            os.utime(name, ns=_times(info), dir_fd=at, follow_symlinks=False)


def _make_folder(top: int, path: tuple[str, ...]) -> None:
    if not path:
        return
    with _within(top, path[:-1], make=True) as at:
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(path[-1], dir_fd=at, follow_symlinks=False).st_mode):
                os.unlink(path[-1], dir_fd=at)
        with suppress(FileExistsError):
            os.mkdir(path[-1], 0o700, dir_fd=at)


def _link(top: int, target: tuple[str, ...], at: int, name: str) -> None:
    with _within(top, target[:-1]) as there:
        if not stat.S_ISREG(os.stat(target[-1], dir_fd=there, follow_symlinks=False).st_mode):
            raise OSError(0, "a hard link to what is no plain file")
        os.link(target[-1], name, src_dir_fd=there, dst_dir_fd=at, follow_symlinks=False)


def _clear(at: int, name: str) -> None:
    """Make room: a later entry takes the place of an earlier one."""
    try:
        seen = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(seen.st_mode):
        shutil.rmtree(name, dir_fd=at)
    else:
        os.unlink(name, dir_fd=at)


def _white_out(top: int, path: tuple[str, ...]) -> None:
    *above, name = path
    try:
        with _within(top, tuple(above)) as at:
            if name == OPAQUE:
                with os.scandir(at) as found:
                    for inner in [one.name for one in found]:
                        _clear(at, inner)
            else:
                _clear(at, _plain(name.removeprefix(WHITEOUT)))
    except FileNotFoundError:
        return  # what is removed was never there


def _plain(name: str) -> str:
    if name in {"", ".", ".."}:
        raise OSError(0, "a whiteout of no name")
    return name


def _dress(number: int, info: tarfile.TarInfo) -> None:
    _own(number, info)
    os.chmod(number, info.mode & 0o7777)  # behind chown, which takes setuid away
    for key, value in info.pax_headers.items():
        name = key.removeprefix(_XATTR)
        if key != name and name.startswith(KEPT) and not name.startswith(DROPPED):
            os.setxattr(number, name, value.encode("utf-8", "surrogateescape"))
    os.utime(number, ns=_times(info))


def _own(what: int | str, info: tarfile.TarInfo, at: int | None = None) -> None:
    """Give it to its owner; of owners that have no number here, it stays ours."""
    try:
        if at is None:
            os.chown(what, info.uid, info.gid)
        else:
            os.chown(what, info.uid, info.gid, dir_fd=at, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL or os.getuid() == 0 == _first_number():
            raise


def _first_number() -> int:
    """The number that our root has outside; 0 where it is the machine's. Source: user_namespaces(7)."""
    return int(Path("/proc/self/uid_map").read_text(encoding="utf-8").split()[1])


def _times(info: tarfile.TarInfo) -> tuple[int, int]:
    try:
        moment = int(Decimal(info.pax_headers.get("mtime", "") or str(info.mtime)) * 10**9)
    except InvalidOperation:
        moment = 0
    return moment, moment


def main(argv: Sequence[str]) -> int:
    """The part of ``unpack`` that needs other numbers."""
    with console.shown() as end:
        unpack([Packed(*one) for one in json.loads(argv[1])], Path(argv[0]), quiet="quiet" in argv[2:])
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
