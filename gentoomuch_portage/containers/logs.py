"""The logs of a box without root: its users have written them, whoever started it is to read them."""

import os
import stat
from pathlib import Path

from gentoomuch_portage import run
from gentoomuch_portage.containers import maps, programs

_AT_ONCE = 500
"""Names in one command line."""


def hand_over(folder: Path | None) -> None:
    """Make logs that the users of a box own those of the user whose box it was; root owns them anyway.

    Raises:
        ProgramFailed: the kernel refuses.
    """
    if folder is None or not os.geteuid():
        return
    ranges = maps.subordinate("uid")
    found = [
        str(Path(above, name))
        for above, folders, names in os.walk(folder)
        for name in (*folders, *names)
        if _theirs(os.lstat(Path(above, name)), ranges)
    ]
    for first in range(0, len(found), _AT_ONCE):
        owner = [*programs.words("containers.owner"), "chown", "-hR", "0:0", "--", *found[first : first + _AT_ONCE]]
        run.run(owner, env=programs.environment(), keep=True)


def _theirs(seen: os.stat_result, ranges: tuple[tuple[int, int], ...]) -> bool:
    return not stat.S_ISLNK(seen.st_mode) and any(first <= seen.st_uid < first + count for first, count in ranges)
