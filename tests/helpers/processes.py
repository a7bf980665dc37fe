# SPDX-License-Identifier: GPL-2.0-or-later
"""Look at processes that may end at any moment; one that has ended has nothing. Sources: proc(5) and its parts."""

import os
from contextlib import suppress
from pathlib import Path


def children(number: int) -> list[int]:
    """Return the processes that a process has started and that have not been reaped."""
    with suppress(OSError):
        return list(map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split()))
    return []


def uids(number: int) -> set[int]:
    """Return the real, effective, saved and file system uid of a process."""
    with suppress(OSError):
        status = Path(f"/proc/{number}/status").read_text()
        return set(map(int, next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]))
    return set()


def open_files(*numbers: int) -> set[str]:
    """Return what the descriptors of processes refer to, as readlink(2) names it."""
    targets = set()
    for number in numbers:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{number}/fd").iterdir():
                with suppress(OSError):  # closed since the directory was read
                    targets.add(os.readlink(descriptor))
    return targets
