"""Make good what killed runs have left: finished packages are taken over, the rest is removed."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.containers import boxes, building, litter
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.settings import Settings

_PATIENCE = 60.0
"""Seconds. What a killed run was merging on the host is merged to the end; so long is that waited for."""


def sweep(settings: Settings, plan: Plan) -> int:
    """Look after killed runs.

    Args:
        plan: whose PKGDIR gets the packages; one is for all profiles.

    Returns:
        How many packages were saved.
    """
    saved = 0
    for place in boxes.killed(settings.cache):
        with taken(place) as ours:
            if not ours:
                continue
            saved += len(building.take_over(plan, place))
            litter.remove(place)
            boxes.clear(place)
        boxes.remove(place)
    return saved


@contextmanager
def taken(place: Path, patience: float = _PATIENCE) -> Iterator[bool]:
    """Own the folder of a killed run as soon as no process of that run is left.

    False where that takes longer than some seconds, and where somebody else has removed it: then there is nothing to
    do now.
    """
    try:
        number = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _locked(number, patience)
    finally:
        os.close(number)


def _locked(number: int, patience: float) -> bool:
    ends, told = time.monotonic() + patience, False
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                return False
        else:
            return True
        if not told:
            console.tell("gentoomuch: a run that was killed is still merging; it is waited for")
            told = True
        time.sleep(0.1)
