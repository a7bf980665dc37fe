# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of a root: numbered generations beside it, and the exchange of the root with a copy of one of them.

``.NAME.snapshots`` beside the root has a directory for each generation: the tree, and a file that describes it. A
generation is built under a temporary name and renamed. A rollback exchanges the names of the root and of a copy in one
system call, so that the root is the old or the new one at any time. Before that, the copy has the place where the
former root will be. If a rollback was killed, the identity of the copy shows whether the exchange has happened.
"""

import errno
import fcntl
import json
import os
import struct
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, process, startup, stored
from gentoomuch_portage.containers import linux, root_lock
from gentoomuch_portage.containers.overlay import file_system
from gentoomuch_portage.containers.owned_files import stamp
from gentoomuch_portage.errors import ProgramFailed, cannot_write, explain_failure
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.roots.errors import no_exchange, no_root, no_snapshot
from gentoomuch_portage.roots.manage import check_unmounted, clear

MANUAL, UPDATE, ROLLBACK = "manual", "update", "rollback"
"""Reasons of a generation. Those of a run or a rollback are automatic, and removed by the policy."""
_TREE, _INFO, _LOCK = "root", "generation.json", "lock"
_NEW, _OLD = ".new-", ".old-"
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.EXDEV}
_UNKNOWN_REQUEST = {errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
_SUBVOLUME = 256
"""Inode of the top directory of each btrfs subvolume. Source: BTRFS_FIRST_FREE_OBJECTID of linux/btrfs_tree.h."""
_INO_LOOKUP, _LOOKUP_SIZE = 0xD0009412, 4096
"""BTRFS_IOC_INO_LOOKUP, and the size of its argument. Source: linux/btrfs.h."""


class Generation(NamedTuple):
    """A snapshot of a root."""

    generation: int
    at: float
    """Seconds since the epoch."""
    reason: str
    """``manual``, ``update`` or ``rollback``."""
    before: tuple[str, ...]
    """The command that was to change the root; empty if the snapshot is a manual one."""
    incoming: str = ""
    """Identity of the tree that a rollback exchanges with the root: as long as it is here, nothing was exchanged."""


def folder_of(root: Path) -> Path:
    """Return the directory with the generations of a root, which may be missing."""
    real = _real(root)
    return real.parent / f".{real.name}.snapshots"


def generations(root: Path) -> list[Generation]:
    """Return the generations of a root, the oldest first."""
    return [generation for generation, is_whole in _read_all(folder_of(root)) if is_whole]


def save(root: Path, profile: str) -> int:
    """Save a root as a generation that only ``remove`` removes; return its number.

    Raises:
        Busy: a run works in the root.
        RunError[no-root], RunError[mounted-root]: it does not exist, is a mount point or contains one.
        NoPrivilege, MachineError[disk-full], ReadOnly, ProgramFailed: it cannot be copied.
    """
    real = _real(root)
    if not real.is_dir():
        raise no_root(root, profile)
    with root_lock.exclusive(real), _changing(real) as folder:
        return _save(real, folder, MANUAL, ())


@contextmanager
def before_run(root: Path, command: Sequence[str], keep: int) -> Iterator[None]:
    """Save a root, then hold a shared lock on it while a run changes it.

    The generation of a run that changed no package is removed. Otherwise, older automatic generations are.

    Args:
        command: the run.
        keep: the number of automatic generations to keep, at least 1.

    Raises:
        Busy: another run works in the root.
        RunError[mounted-root]: it is a mount point, or contains one.
        NoPrivilege, MachineError[disk-full], ReadOnly, ProgramFailed: it cannot be copied.
    """
    fs.ensure(root)
    real, number = _real(root), 0
    vdb = Path(f"{real}{paths.eprefix()}") / "var/db/pkg"

    def prepare() -> None:
        nonlocal number
        with _changing(real) as folder:
            number = _save(real, folder, UPDATE, command)

    with root_lock.begin(real, prepare):
        before = stamp(vdb)
        try:
            yield
        finally:
            with _changing(real) as folder:
                if stamp(vdb) == before:
                    _remove(folder, number)
                else:
                    _prune(folder, keep)


def rollback(root: Path, profile: str, wanted: int, keep: int) -> tuple[int, int]:
    """Put a copy of a generation in the place of a root; the former root becomes a generation.

    Args:
        wanted: the number of the generation; 0 for the newest.
        keep: the number of automatic generations to keep, besides this one.

    Returns:
        The number of the generation, and that of the former root; 0 if there was none.

    Raises:
        Busy: a run works in the root.
        RunError[no-snapshot], RunError[mounted-root]: the generation is missing; something is mounted in the root.
        MachineError[no-exchange]: the file system cannot exchange directories.
        NoPrivilege, MachineError[disk-full], ReadOnly, ProgramFailed: the generation cannot be copied.
    """
    real = _real(root)
    with ExitStack() as stack:
        if exists := os.path.lexists(real):
            stack.enter_context(root_lock.exclusive(real))
            check_unmounted(real, "roll back")
        known = check_known(root, profile, wanted)  # before the directory is created
        folder = stack.enter_context(_changing(real))
        chosen = check_known(root, profile, known)
        with _building(folder) as new:
            _check_exchange(real, new)
            tree = new / _TREE
            _copy(folder / str(chosen) / _TREE, tree)
            if not exists:
                linux.sync(str(folder))
                tree.rename(real)
                _sync_names(real.parent)
                return chosen, 0
            command = ("gentoomuch", "root", "rollback", profile, str(chosen))
            former = Generation(_next(folder), time.time(), ROLLBACK, command, _identity(tree))
            place = _publish(folder, new, former)
        try:
            linux.exchange(str(place / _TREE), str(real))
        except OSError as error:
            _remove(folder, former.generation)
            raise _explain_exchange(real, error) from error
        for above in (real.parent, place):
            _sync_names(above)
        _prune(folder, max(keep, 1), but=(chosen,))
        return chosen, former.generation


def remove(root: Path, profile: str, number: int) -> None:
    """Remove a generation.

    Raises:
        RunError[no-snapshot]: there is no such generation.
        RunError[mounted-root], ProgramFailed, ReadOnly: it cannot be removed.
    """
    check_known(root, profile, number)
    with _changing(_real(root)) as folder:
        _remove(folder, check_known(root, profile, number))


def check_known(root: Path, profile: str, wanted: int) -> int:
    """Return the number of a generation that exists; that of the newest for 0.

    Raises:
        RunError[no-snapshot]: it does not exist.
    """
    known = [generation.generation for generation in generations(root)]
    if not known or (wanted and wanted not in known):
        raise no_snapshot(wanted, profile, known)
    return wanted or known[-1]


def _real(root: Path) -> Path:
    return Path(os.path.realpath(root))


@contextmanager
def _changing(real: Path) -> Iterator[Path]:
    """Lock the directory with the generations of a root, and remove what a killed command has left there.

    Only its owner can enter it: the generations have the set-user-ID programs of the root.
    """
    folder = fs.ensure(folder_of(real), mode=0o700)
    fs.private_folder(folder)
    with fs.locked(folder / _LOCK), fs.disk_errors(folder):
        for path in sorted(folder.iterdir()):
            if path.name.startswith((_NEW, _OLD)):
                clear(path)
        for generation, is_whole in _read_all(folder):
            if not is_whole:
                _remove(folder, generation.generation)
        yield folder


def _read_all(folder: Path) -> Iterator[tuple[Generation, bool]]:
    """Yield the generations by number, each with whether it is whole: not the tree of an interrupted rollback."""
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else ()
    for number in numbers:
        place = folder / str(number)
        generation = stored.recall(place / _INFO, partial(_parse, number))
        if generation is not None:
            with suppress(FileNotFoundError):  # it is being removed
                identity = _identity(place / _TREE) if generation.incoming else ""
                yield generation, not identity or identity != generation.incoming


def _parse(number: int, text: str) -> Generation:
    fields = json.loads(text)
    before = tuple(str(word) for word in fields["before"])
    return Generation(number, float(fields["at"]), str(fields["reason"]), before, str(fields["incoming"]))


def _next(folder: Path) -> int:
    return max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0) + 1


def _save(real: Path, folder: Path, reason: str, command: Sequence[str]) -> int:
    check_unmounted(real, "save")
    with _building(folder) as new:
        _copy(real, new / _TREE)
        number = _next(folder)
        _publish(folder, new, Generation(number, time.time(), reason, tuple(command)))
    return number


@contextmanager
def _building(folder: Path) -> Iterator[Path]:
    """Create a temporary directory, and remove it afterwards unless it was renamed."""
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=folder))
    try:
        yield new
    finally:
        clear(new)


def _publish(folder: Path, new: Path, generation: Generation) -> Path:
    """Describe a new generation, write it to disk, and rename it to its number; return its path."""
    fields = generation._asdict()
    del fields["generation"]
    fs.write(new / _INFO, json.dumps(fields) + "\n", mode=0o600)
    linux.sync(str(folder))
    place = folder / str(generation.generation)
    new.rename(place)
    _sync_names(folder)
    return place


def _sync_names(folder: Path) -> None:
    """Wait until the disk has the names in a directory."""
    number = os.open(folder, fs.FOLDER)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(folder: Path, number: int) -> None:
    """Remove a generation; after its first step it does not exist any more."""
    aside = folder / f"{_OLD}{number}"
    (folder / str(number)).rename(aside)
    clear(aside)


def _prune(folder: Path, keep: int, but: Collection[int] = ()) -> None:
    """Remove all automatic generations except for the newest ones."""
    numbers = [generation.generation for generation, _ in _read_all(folder) if generation.reason != MANUAL]
    for number in numbers[:-keep]:
        if number not in but:
            _remove(folder, number)


def _check_exchange(real: Path, new: Path) -> None:
    """Check that the file system can exchange directories, before a tree is copied."""
    pair = [new / name for name in ("a", "b")]
    for path in pair:
        path.mkdir()
    try:
        linux.exchange(*(str(path) for path in pair))
    except OSError as error:
        raise _explain_exchange(real, error) from error
    for path in pair:
        path.rmdir()


def _explain_exchange(real: Path, error: OSError) -> Exception:
    if error.errno in _NO_EXCHANGE:
        return no_exchange(
            real, f"{file_system(real) or 'its file system'} cannot exchange directories ({error.strerror})"
        )
    return cannot_write(real, error, verb="roll back")


def _identity(tree: Path) -> str:
    """Return what tells a directory from all others of its file system; it stays the same when it is renamed.

    The top directories of all btrfs subvolumes have the same inode.
    """
    number = os.open(tree, fs.FOLDER)
    try:
        return f"{_find_subvolume(number)}:{os.fstat(number).st_ino}"
    finally:
        os.close(number)


def _find_subvolume(number: int) -> int:
    """Return the ID of the btrfs subvolume of an open directory; 0 on other file systems."""
    argument = bytearray(struct.pack("QQ", 0, _SUBVOLUME).ljust(_LOOKUP_SIZE, b"\0"))
    try:
        fcntl.ioctl(number, _INO_LOOKUP, argument)
    except OSError as error:
        if error.errno not in _UNKNOWN_REQUEST:
            raise
        return 0
    (subvolume,) = struct.unpack_from("Q", argument)
    return int(subvolume)


def _copy(source: Path, target: Path) -> None:
    """Copy a tree with owners, modes, times, attributes, devices and hard links, at once where the file system can.

    A btrfs subvolume becomes a snapshot. On file systems with reflinks the copy shares the blocks of the files.
    """
    argv = ["cp", "-dR", "--preserve=mode,ownership,timestamps,links,xattr", "--reflink=auto", "--no-target-directory"]
    argv += ["--", str(source), str(target)]
    if _is_plain_subvolume(source):
        argv = ["btrfs", "subvolume", "snapshot", str(source), str(target)]
    helper = startup.python("containers.root_helper")
    try:
        process.run([*helper, *argv], env={**os.environ, "LC_ALL": "C"}, keep=True)
    except ProgramFailed as error:
        raise explain_failure(error, target, fs.inspect_hint(source)) from error


def _is_plain_subvolume(tree: Path) -> bool:
    """Return whether btrfs can take a snapshot of a tree: it is a subvolume, without others in it."""
    subvolume, _, inode = _identity(tree).partition(":")
    if os.geteuid() or subvolume == "0" or int(inode) != _SUBVOLUME or process.find_program("btrfs") is None:
        return False
    return not process.run(["btrfs", "subvolume", "list", "-o", str(tree)], keep=True).out.strip()
