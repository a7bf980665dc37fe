# SPDX-License-Identifier: GPL-2.0-or-later
"""The cgroups that podman creates for a container; after a kill no other program removes them.

Each run has a parent of its own, named by its directory, so that no cgroup of others is ever removed.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TYPES = (b"cgroup", b"cgroup2")


def parent(run: Path) -> str:
    """Return the name of the cgroup that contains all cgroups of a run.

    Args:
        run: the directory of the run.
    """
    return f"gentoomuch-{run.name}"


def remove(run: Path, table: str = "/proc/self/mountinfo") -> bool:
    """Remove the cgroups of a run, and return whether none is left; one with a process cannot be removed.

    Args:
        table: the kernel's table of mounts.
    """
    folders = [top / parent(run) for top in _find_hierarchies(Path(table))]
    for folder in folders:
        for above, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):
                Path(above).rmdir()
    return not any(map(os.path.lexists, folders))


def _find_hierarchies(table: Path) -> Iterator[Path]:
    """Yield the mount points of cgroup file systems. Source: proc_pid_mountinfo(5)."""
    for line in table.read_bytes().splitlines():
        fields, _, rest = line.partition(b" - ")
        if rest.split()[0] in _TYPES:
            yield Path(os.fsdecode(fields.split()[4]))
