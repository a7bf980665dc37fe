# SPDX-License-Identifier: GPL-2.0-or-later
"""Recover after killed runs: take over their finished packages, and remove everything else."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import build, lifecycle
from gentoomuch_portage.plan.plan import Plan

_PATIENCE = 60.0
"""Seconds to wait for a merge that a killed run had begun on the host."""


def recover(settings: Settings, plan: Plan) -> int:
    """Save the finished packages of killed runs, and remove the rest of these runs.

    Args:
        plan: whose PKGDIR gets packages without a recorded one; any profile will do.

    Returns:
        How many packages were saved.
    """
    saved = 0
    for run in lifecycle.find_killed(settings.cache):
        with owning(run) as is_owner:
            if not is_owner:
                continue
            saved += len(build.take_over(plan, run))
            lifecycle.clear_ended(run)
        lifecycle.remove(run)
    return saved


@contextmanager
def owning(run: Path, patience: float = _PATIENCE) -> Iterator[bool]:
    """Own the directory of a killed run as soon as no process of that run is left.

    Yields:
        False if that takes longer than ``patience`` seconds, or if another process has removed the directory.
    """
    try:
        number = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(number, patience)
    finally:
        os.close(number)


def _lock(number: int, patience: float) -> bool:
    deadline, is_reported = time.monotonic() + patience, False
    while not fs.lock_at_once(number):
        if time.monotonic() > deadline:
            return False
        if not is_reported:
            console.info("gentoomuch: waiting for an interrupted run to finish merging")
            is_reported = True
        time.sleep(0.1)
    return True
