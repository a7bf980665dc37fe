# SPDX-License-Identifier: GPL-2.0-or-later
"""The data of a farm: jobs, their states, and which state may follow which."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    """A package that its build needs is not built yet."""
    READY = "ready"
    LEASED = "leased"
    """An attempt to build it runs."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES = frozenset(
    {
        (State.WAITING, State.READY), (State.WAITING, State.FAILED), (State.WAITING, State.CANCELLED),
        (State.READY, State.LEASED), (State.READY, State.DONE), (State.READY, State.WAITING),
        (State.READY, State.CANCELLED),
        (State.LEASED, State.READY), (State.LEASED, State.DONE), (State.LEASED, State.FAILED),
        (State.LEASED, State.CANCELLED),
        (State.DONE, State.WAITING), (State.FAILED, State.WAITING), (State.CANCELLED, State.WAITING),
    }
)  # fmt: skip
"""The pairs of states that may follow each other. From ready to done: by the result of an attempt that seemed lost."""


class NewJob(NamedTuple):
    """A package that a wish needs."""

    key: str
    """The SHA-256 of ``inputs``."""
    cpv: str
    inputs: str
    """All that influences its build, as JSON."""
    needs: tuple[str, ...]
    """The keys of the packages that its build installs, with all that they need at run time."""


class Job(NamedTuple):
    """A job as the database has it."""

    key: str
    profile: str
    cpv: str
    state: State
    code: str
    """Why it failed: the code of an error, ``dependency`` or ``kills-builders``; otherwise empty."""
    digest: str
    """The SHA-256 of its package; empty until it is done."""
    losses: int
    """How many of its attempts ended without a result, since it was added or retried."""


class Need(NamedTuple):
    """A package that an attempt installs."""

    cpv: str
    digest: str


class Attempt(NamedTuple):
    """The permission to build a job once."""

    number: int
    key: str
    profile: str
    cpv: str
    inputs: str
    """As in ``NewJob``."""
    needs: tuple[Need, ...]
    """Sorted by their names."""
