# SPDX-License-Identifier: GPL-2.0-or-later
"""The cgroups that podman and systemd-nspawn create for a container; no other program removes those that remain.

Each run has a parent of its own, named by its directory, so that no cgroup of others is ever removed.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TYPES = (b"cgroup", b"cgroup2")
_RECORD = "cgroups"
"""A file in ``RUN``: the cgroups that ``join`` creates, a path a line."""


def parent(run: Path) -> str:
    """Return the name of the cgroup that contains all cgroups of a run.

    Args:
        run: the directory of the run.
    """
    return f"gentoomuch-{run.name}"


def join(run: Path, table: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> None:
    """Move this process into new cgroups of the run, below those that it is in, whose limits still hold.

    For systemd-nspawn, which creates ``payload`` and ``supervisor`` below the cgroup that it is started in, leaves both
    there, and needs no controller but systemd's. Where no cgroup can be created, it creates none either.

    Args:
        run: the directory of the run.
        table: the kernel's table of mounts.
        own: the kernel's table of the cgroups of this process.
    """
    paths = dict(line.split(":", 2)[1:] for line in Path(own).read_text(encoding="utf-8").splitlines())
    folders = []
    for top, root, controller in _read_mounts(Path(table)):
        path = paths.get(controller, "")
        if controller in {"", "name=systemd"} and path.startswith(root):
            folders.append(top / path.removeprefix(root).lstrip("/") / parent(run))
    (run / _RECORD).write_text("".join(f"{folder}\n" for folder in folders), encoding="utf-8")
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(exist_ok=True)  # a run may start several containers
            (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def remove(run: Path, table: str = "/proc/self/mountinfo") -> bool:
    """Remove the cgroups of a run, and return whether none is left; one with a process cannot be removed.

    Args:
        run: the directory of the run.
        table: the kernel's table of mounts.
    """
    folders = [top / parent(run) for top in find_hierarchies(Path(table))]
    if (run / _RECORD).is_file():
        recorded = map(Path, (run / _RECORD).read_text(encoding="utf-8").splitlines())
        folders += [folder for folder in recorded if folder.name == parent(run)]
    for folder in folders:
        for above, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):
                Path(above).rmdir()
    return not any(map(os.path.lexists, folders))


def find_hierarchies(table: Path) -> Iterator[Path]:
    """Yield the mount points of cgroup file systems."""
    for top, _, _ in _read_mounts(table):
        yield top


def _read_mounts(table: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield mount point, root and controllers of each cgroup file system, the latter as /proc/PID/cgroup names them.

    Sources: proc_pid_mountinfo(5), cgroups(7).
    """
    for line in table.read_bytes().splitlines():
        mount, _, rest = line.partition(b" - ")
        kind, _, options = rest.split(maxsplit=2)
        if kind in _TYPES:
            root, top = map(os.fsdecode, mount.split()[3:5])
            named = next((option for option in options.split(b",") if option.startswith(b"name=")), options)
            yield Path(top), root, "" if kind == b"cgroup2" else os.fsdecode(named)
