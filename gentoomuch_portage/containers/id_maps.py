"""Who is who in a container: all numbers as they are for root, a range of one's own for a user."""

import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path

from gentoomuch_portage.containers import linux

_NEWMAP = "sys-apps/shadow"


def write(number: int) -> None:
    """Write the maps of the new user namespace of a process.

    Root keeps every number. A user becomes root, with the range of subordinate numbers that the system has for
    them; where it has none, they are alone.

    Raises:
        OSError: the kernel refuses.
        ProgramFailed: newuidmap refuses.
    """
    if not os.geteuid():
        linux.write_maps(number, *linux.every_id())
        return
    from gentoomuch_portage import process  # each start of a box would wait for it

    ranges = subordinate("uid"), subordinate("gid")
    if not (all(ranges) and process.where("newuidmap") and process.where("newgidmap")):
        linux.write_maps(number, [(0, os.geteuid(), 1)], [(0, os.getegid(), 1)])
        return
    for program, own, told in (("newuidmap", os.geteuid(), ranges[0]), ("newgidmap", os.getegid(), ranges[1])):
        words = (str(word) for line in _lines(own, told) for word in line)
        process.run([program, str(number), *words], keep=True, atom=_NEWMAP)


def several() -> bool:
    """Whether a container of ours can have more than one user, as Portage's userpriv needs."""
    from gentoomuch_portage import process

    if not os.geteuid():
        return True
    found = subordinate("uid") and subordinate("gid")
    return bool(found and process.where("newuidmap") and process.where("newgidmap"))


def builder(*, several: bool) -> dict[str, str]:
    """Variables that tell Portage whom it builds as, where a container has nobody but its root."""
    return {} if several else {"PORTAGE_USERNAME": "root", "PORTAGE_GRPNAME": "root"}


def subordinate(kind: str) -> tuple[tuple[int, int], ...]:
    """Ranges of numbers that the system has given to this user: first, how many.

    Args:
        kind: ``uid`` or ``gid``.

    Source: subuid(5); getsubids asks what nsswitch.conf names besides.
    """
    from gentoomuch_portage import process

    name = _name()
    if process.where("getsubids"):
        told = process.run(["getsubids", *(["-g"] if kind == "gid" else []), name], keep=True, accept=()).out
        return tuple(_ranges((line.split()[2:] for line in told.splitlines()), 2))
    try:
        lines = Path(f"/etc/sub{kind}").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    parted = (line.split(":") for line in lines)
    return tuple(_ranges((one[1:] for one in parted if one[0] in {name, str(os.geteuid())}), 2))


def _ranges(found: Iterable[list[str]], width: int) -> Iterator[tuple[int, int]]:
    for one in found:
        if len(one) == width and all(word.isdigit() for word in one) and int(one[1]):
            yield int(one[0]), int(one[1])


def _lines(own: int, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    yield 0, own, 1
    at = 1
    for first, count in ranges:
        yield at, first, count
        at += count


def _name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
