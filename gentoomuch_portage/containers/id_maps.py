# SPDX-License-Identifier: GPL-2.0-or-later
"""User and group maps of containers: identity for root, a subordinate range for other users."""

import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.containers import linux
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage import process
else:
    process = LazyModule("gentoomuch_portage.process")  # slow to import for each start of a container

_NEWMAP = "sys-apps/shadow"


def write_maps(number: int) -> None:
    """Write the maps of the new user namespace of a process.

    Root maps every ID to itself. Another user becomes root, with the subordinate range that the system assigned to
    them; without such a range, the container has only root.

    Args:
        number: the process.

    Raises:
        OSError: the kernel refuses.
        ProgramFailed: newuidmap refuses.
    """
    if not os.geteuid():
        linux.write_maps(number, *linux.every_id())
        return
    ranges = subordinate_ranges("uid"), subordinate_ranges("gid")
    if not (all(ranges) and process.find_program("newuidmap") and process.find_program("newgidmap")):
        linux.write_maps(number, [(0, os.geteuid(), 1)], [(0, os.getegid(), 1)])
        return
    for program, own, extra in (("newuidmap", os.geteuid(), ranges[0]), ("newgidmap", os.getegid(), ranges[1])):
        words = (str(word) for line in _lines(own, extra) for word in line)
        process.run([program, str(number), *words], keep=True, atom=_NEWMAP)


def has_several_users() -> bool:
    """Return whether a container of this user can have several users, as Portage's userpriv requires."""
    if not os.geteuid():
        return True
    ranges = subordinate_ranges("uid") and subordinate_ranges("gid")
    return bool(ranges and process.find_program("newuidmap") and process.find_program("newgidmap"))


def build_user(*, several: bool) -> dict[str, str]:
    """Return the variables that make Portage build as root, for a container that has no other user."""
    return {} if several else {"PORTAGE_USERNAME": "root", "PORTAGE_GRPNAME": "root"}


def subordinate_ranges(kind: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges of IDs that the system assigned to this user: first ID and count of each.

    Args:
        kind: ``uid`` or ``gid``.

    Source: subuid(5); getsubids also asks the sources of nsswitch.conf.
    """
    name = _user_name()
    if process.find_program("getsubids"):
        output = process.run(["getsubids", *(["-g"] if kind == "gid" else []), name], keep=True, accept=()).out
        return tuple(_ranges(line.split()[2:] for line in output.splitlines()))
    try:
        lines = Path(f"/etc/sub{kind}").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    entries = (line.split(":") for line in lines)
    return tuple(_ranges(fields for user, *fields in entries if user in {name, str(os.geteuid())}))


def _ranges(entries: Iterable[list[str]]) -> Iterator[tuple[int, int]]:
    for fields in entries:
        if len(fields) == 2 and all(field.isdigit() for field in fields) and int(fields[1]):
            yield int(fields[0]), int(fields[1])


def _lines(own: int, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    yield 0, own, 1
    inside = 1
    for first, count in ranges:
        yield inside, first, count
        inside += count


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
