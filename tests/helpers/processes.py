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


def command_lines() -> dict[int, list[str]]:
    """Return the program and the arguments of each process of this machine that has any, by its number."""
    lines = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - a directory of pathlib may end while it is searched
        if name.isdecimal():
            with suppress(OSError):
                if text := Path(f"/proc/{name}/cmdline").read_bytes():
                    lines[int(name)] = text.removesuffix(b"\0").decode(errors="replace").split("\0")
    return lines


def environment(number: int) -> str:
    """Return the variables with which a process was started, separated by NUL."""
    with suppress(OSError):
        return Path(f"/proc/{number}/environ").read_bytes().decode(errors="replace")
    return ""


def status(number: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name: state, parent, group, session, and so on."""
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return []


def living() -> dict[int, list[str]]:
    """Return the ``status`` of each process of this machine that has not ended, by its number."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    return {number: fields for number in numbers if (fields := status(number)) and fields[0] not in "ZX"}


def namespaces(number: int) -> set[str]:
    """Return the namespaces that a process is in."""
    found = set()
    with suppress(OSError):
        for file in Path(f"/proc/{number}/ns").iterdir():
            with suppress(OSError):
                found.add(os.readlink(file))
    return found


def cgroups(number: int) -> set[str]:
    """Return the cgroups that a process is in, one for each hierarchy, relative to where that is mounted."""
    with suppress(OSError):
        lines = Path(f"/proc/{number}/cgroup").read_text().splitlines()
        return {line.split(":", 2)[2] for line in lines}
    return set()
