"""Which generations stay, and what lies between two of them."""

import shutil
import time
from itertools import pairwise
from pathlib import Path

from gentoomuch_portage.binhost import objects
from gentoomuch_portage.binhost.generations import current, digests, numbers, read


def difference(top: Path, one: int, other: int) -> list[dict[str, str]]:
    """What came, went and changed from one generation to another, by path.

    Returns:
        Rows with ``change`` (``new``, ``gone`` or ``changed``), ``path`` and ``sha256``, of what is there afterwards.

    Raises:
        NoGeneration: there is none of such a number.
    """
    before, after = digests(read(top, one).files), digests(read(top, other).files)
    rows = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            change = "gone" if path not in after else "new" if path not in before else "changed"
            rows.append({"change": change, "path": path, "sha256": after.get(path) or before[path]})
    return rows


def retained(top: Path, *, keep: int, days: float, grace: float) -> list[int]:
    """Remove generations that are neither among the newest nor young, nor were current a short while ago.

    Args:
        keep: so many stay, the current one among them.
        days: younger ones stay.
        grace: seconds since another took its place.

    Returns:
        The numbers that went.
    """
    now, known, here = time.time(), numbers(top), current(top)
    made = {number: read(top, number).made for number in known}
    left = {number: made[following] for number, following in pairwise(known)}
    old = [one for one in known[: max(0, len(known) - keep)] if one != here and now - made[one] > days * 86400]
    gone = [one for one in old if now - left.get(one, now) > grace]
    for number in gone:
        away = top / "generations" / f".{number}"
        (top / "generations" / str(number)).rename(away)
        (top / "generations" / f"{number}.json").unlink(missing_ok=True)
        shutil.rmtree(away)
    if gone:
        objects.sweep(top)
    return gone
