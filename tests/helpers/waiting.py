# SPDX-License-Identifier: GPL-2.0-or-later
"""Wait for a state instead of a time."""

import time
from collections.abc import Callable

#: Seconds after which what is waited for hangs. No test may depend on how fast a machine is.
HANG = 300


def wait_for(reached: Callable[[], object], what: str | Callable[[], str], *, seconds: float = HANG) -> None:
    """Wait until a state is reached, or until it is clear that it never will be.

    Args:
        what: the state, or a function that returns more about a failure.

    Raises:
        AssertionError: the state is not reached in that time.
    """
    ends = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > ends:
            raise AssertionError(f"not reached in {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
