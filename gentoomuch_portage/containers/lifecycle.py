# SPDX-License-Identifier: GPL-2.0-or-later
"""The directory of a run, the start of its containers, and the removal of what they wrote.

``cache/containers/run-*`` is locked while its run lives; the kernel releases the lock with the process. Mounts,
namespaces and processes end with the process as well, so that only two directories can be left behind: this one, and
the one below PORTAGE_TMPDIR in which the container builds.

A run that is killed while it merges on the host leaves one more process: the one that Portage forked for that, which
merges to the end. It has inherited the lock of the directory, but not that of ``RUN/alive``, which belongs to the run.
"""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gentoomuch_portage import fs, process
from gentoomuch_portage.config.isolation_kinds import BUILT_IN, VM, IsolationKind
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import backends, cgroups, composed, enter, helpers, init, logs
from gentoomuch_portage.containers.overlay import file_system
from gentoomuch_portage.containers.spec import SPEC, Composed, ContainerSpec, Overlay
from gentoomuch_portage.containers.vm import launch
from gentoomuch_portage.errors import MachineError, MissingProgram, NoPrivilege

_LEFTOVERS = ("root", "upper", "warm", "packages", "packages.work", "logs", "state", "state.work",
    "distfiles", "distfiles.work", "failures",
)  # fmt: skip
_PATIENCE = 10.0
"""Seconds that the kernel has to end the processes of a killed container."""
_BUILDS_IN = "builds-in"
"""A file: the directory that the run created below PORTAGE_TMPDIR."""
_ALIVE = "alive"
"""A file that the run holds a lock on; a forked process does not inherit it. Source: fcntl_locking(2)."""


class OnOverlay(MachineError):
    """The cache is on overlayfs, where containers cannot store their changes.

    Source: the kernel's Documentation/filesystems/overlayfs.rst: it holds no upper layer of another overlayfs.
    """

    code = "on-overlayfs"

    def __init__(self, folder: Path, variable: str) -> None:
        super().__init__(
            f"cannot create a container: {folder} is on overlayfs, which cannot store its changes",
            hint=f"mount -t tmpfs tmpfs {folder}, or set {variable} to a directory on ext4, xfs, btrfs or tmpfs",
        )
        self.folder = folder


def ensure_directory(cache: Path) -> Path:
    """Return the directory of all containers; create it for this user alone.

    Other users must not learn the name of a run before its directories exist.

    Raises:
        NoPrivilege: the cache cannot be written.
    """
    folder = fs.ensure(cache / "containers", cache=cache)
    folder.chmod(0o700)
    return folder


@contextmanager
def run_directory(cache: Path) -> Iterator[Path]:
    """Create the directory of a run, and remove it after the block.

    Raises:
        NoPrivilege: the cache cannot be written.
    """
    with fs.fresh_folder(ensure_directory(cache), prefix="run-") as run:
        run.chmod(0o700)  # other users must not run a set-user-ID program that a build created
        with (run / f".{_ALIVE}").open("wb") as alive:
            fcntl.lockf(alive, fcntl.LOCK_EX)
            (run / f".{_ALIVE}").rename(run / _ALIVE)  # it is never visible without the lock
            try:
                yield run
            finally:
                clear_ended(run)


def kept_root(settings: Settings, profile: str, name: str) -> Path:
    """Return the directory that stores the changes of a fresh root with a name."""
    return settings.state / profile / "roots" / name


def make_kept_root(settings: Settings, profile: str, name: str) -> Path:
    """Create that directory if it is missing, closed to other users, and return it.

    Raises:
        NoPrivilege: it cannot be created.
    """
    folder = kept_root(settings, profile, name)
    fs.ensure(folder.parent.parent)
    fs.ensure(folder.parent, mode=0o700)
    return fs.ensure(folder, mode=0o700)


def start(name: str, spec: ContainerSpec, *, keep: bool = False) -> process.Ran:
    """Run a container to its end.

    Args:
        name: its isolation kind.
        keep: return its output instead of printing it.

    Returns:
        The status of its program: 128 + N if signal N ended it; 70 if the container could not be created, with the
        reason on stderr.

    Raises:
        MissingProgram: the program that starts such containers is not installed.
        OnOverlay: its changes cannot be stored.
        MissingKernel: there is no kernel for a virtual machine.
        MakerFailed: the kind belongs to another distribution, which fails.
    """
    kind = BUILT_IN.get(name, IsolationKind(name))
    run = Path(spec.run)
    argv = backends.argv(name, spec)
    program = argv[0] if argv else kind.program
    if program and not process.find_program(program):
        raise MissingProgram(program, kind.package)
    _check_uppers(spec)
    spec = composed.prepare_mounts(spec, run.parent)
    (run / SPEC).write_text(spec.to_json(), encoding="utf-8")
    description = spec.to_json().encode() if kind == VM else init.pack(spec)
    (run / backends.DESCRIPTION_FILE).write_bytes(description)
    logs.prepare(run, spec)
    if kind == VM:
        terminal = not keep and all(os.isatty(number) for number in range(3))
        argv = launch.argv(spec, launch.prepare(spec, run.parent, terminal=terminal))
    (run / "argv").write_text("\0".join(argv), encoding="utf-8")
    namespaces = enter.OF_ROOT if kind.needs_root else enter.OF_USER if argv else enter.OWN
    words = [*helpers.command("containers.enter"), namespaces, str(run), str(os.getpid())]
    with _scratch(spec):
        if keep:
            ran = process.run(words, env=helpers.environment(), keep=True, accept=())
        else:
            ran = process.Ran(process.run_interactive(words, helpers.environment()), "", "")
        return process.Ran(launch.exit_status(run, ran.status), ran.out, ran.err) if kind == VM else ran


def _check_uppers(spec: ContainerSpec) -> None:
    run = Path(spec.run)
    written = (mount for mount in spec.mounts if isinstance(mount, Composed | Overlay) and mount.upper)
    for folder in sorted({Path(mount.upper).parent for mount in written}):
        in_memory = spec.disk and folder.is_relative_to(run / "upper")
        if not in_memory and file_system(folder) == "overlay":
            in_cache = folder.is_relative_to(run.parent)
            raise OnOverlay(run.parents[1] if in_cache else folder, "GM_CACHE" if in_cache else "GM_STATE")


@contextmanager
def _scratch(spec: ContainerSpec) -> Iterator[None]:
    """Create the directory that a container builds in, and remove it with its content after the block.

    Raises:
        NoPrivilege: it cannot be created.
    """
    if not spec.scratch_source:
        yield
        return
    folder = Path(spec.scratch_source)
    (Path(spec.run) / _BUILDS_IN).write_text(str(folder.parent), encoding="utf-8")
    try:
        folder.parent.mkdir(mode=0o700)
        folder.mkdir()
        folder.chmod(0o1777)  # as /var/tmp
    except OSError as error:
        raise NoPrivilege(
            f"cannot create {error.filename or folder}: {error.strerror}", hint=f"ls -ld {folder.parent.parent}"
        ) from error
    try:
        yield
    finally:
        remove_trees([folder.parent])


def clear(run: Path) -> bool:
    """Remove what the containers of a run wrote, and their cgroups; return whether all of it was removed."""
    scratch = [Path(text) for text in (_read(run / _BUILDS_IN),) if text]
    removed = remove_trees([*scratch, *(run / name for name in _LEFTOVERS)])
    return cgroups.remove(run) and removed


def clear_ended(run: Path) -> None:
    """Clear a run, as soon as the processes of a killed container have ended."""
    deadline = time.monotonic() + _PATIENCE
    while not clear(run) and time.monotonic() < deadline:
        time.sleep(0.1)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def remove_trees(folders: Iterable[Path]) -> bool:
    """Remove directories that containers wrote to, and return whether all of them were removed.

    Files of the other users of a rootless container are removed as these users. Trees that are too deep for Python are
    removed by rm, which has no such limit.
    """
    folders = tuple(folders)
    for folder in folders:
        if folder.is_dir():  # rmtree would wait for a pipe
            with suppress(RecursionError):
                shutil.rmtree(folder, ignore_errors=True)
    left = [str(folder) for folder in folders if os.path.lexists(folder)]
    if left:
        as_owner = helpers.command("containers.root_helper") if os.geteuid() else ()
        remove = [*as_owner, "rm", "-rf", "--one-file-system", "--", *left]
        process.run(remove, env=helpers.environment(), keep=True, accept=())
    return not any(map(os.path.lexists, left))


def disarm(folder: Path) -> None:
    """Remove everything from a container's directory that could give its users the rights of another user.

    Set-user-ID and set-group-ID bits and file capabilities are cleared; devices, sockets and pipes are removed. If that
    fails, the whole directory is removed.
    """
    try:
        for _, folders, names, above in os.fwalk(folder, follow_symlinks=False):
            for name in (*folders, *names):
                _disarm(name, above)
    except (OSError, RecursionError):
        remove_trees([folder])


def _disarm(name: str, above: int) -> None:
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=above)
        return
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        os.chmod(name, stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID), dir_fd=above)
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111:
        # clears capabilities. Source: notify_change of Linux
        os.chown(name, -1, -1, dir_fd=above, follow_symlinks=False)


def find_killed(cache: Path) -> list[Path]:
    """Return the directories of runs that were killed; a process of such a run may still be running."""
    return [run for run in sorted((cache / "containers").glob("run-*")) if _is_over(run)]


def _is_over(run: Path) -> bool:
    alive = run / _ALIVE
    if not os.path.lexists(alive):  # the directory is being created, or its run was killed then
        return _is_unlocked(run, os.O_RDONLY | os.O_DIRECTORY, fcntl.flock)
    return _is_unlocked(alive, os.O_RDWR, fcntl.lockf)


def _is_unlocked(path: Path, flags: int, lock: Callable[[int, int], object]) -> bool:
    try:
        number = os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return False  # it belongs to another user, or was removed
    try:
        lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(number)


def remove(run: Path) -> None:
    """Remove the directories of a killed run; if its scratch directory cannot be removed, both are left for later."""
    if clear(run):
        fs.remove_unlocked(run)
