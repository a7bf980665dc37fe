# SPDX-License-Identifier: GPL-2.0-or-later
"""The state machine of a farm: one function for each transition, each one transaction."""

import sqlite3
import time
from collections.abc import Iterable, Sequence

from gentoomuch_portage.errors import RunError, UsageError
from gentoomuch_portage.farm.jobs import Attempt, Job, Need, NewJob, State
from gentoomuch_portage.farm.store import Store

MOST_LOSSES = 3
"""Attempts that may end without a result before a job is suspected of killing what builds it."""
DEPENDENCY = "dependency"
KILLS_BUILDERS = "kills-builders"
_JOB = "key, profile, cpv, state, code, digest, losses"
_PAUSED = "paused"
_DONE = "done"
"""The outcome of the attempt that built the package of a job; an attempt builds one at most."""
_OPEN = (State.WAITING, State.READY, State.LEASED)


def unknown_job(key: str) -> UsageError:
    """No job has a key that begins like this, or several have."""
    return UsageError(
        f"cannot find the job {key!r}: not the start of exactly one key", code="unknown-job", hint="gentoomuch farm ls"
    )


def wrong_state(job: Job, verb: str) -> RunError:
    """A job cannot be cancelled or retried in its state."""
    return RunError(f"cannot {verb} {job.cpv}: it is {job.state}", code="wrong-state", hint="gentoomuch farm ls")


def add(store: Store, profile: str, jobs: Sequence[NewJob]) -> tuple[str, ...]:
    """Add the jobs of a wish; those that exist keep their state, but a cancelled one is wanted again.

    Args:
        jobs: with everything that they need.

    Returns:
        The keys that were not known.
    """
    with store.change() as connection:
        known = {row["key"] for row in connection.execute("SELECT key FROM jobs")}
        fresh = tuple(job.key for job in jobs if job.key not in known)
        now = time.time()
        connection.executemany(
            "INSERT OR IGNORE INTO jobs(key, profile, cpv, inputs, changed) VALUES (?, ?, ?, ?, ?)",
            [(job.key, profile, job.cpv, job.inputs, now) for job in jobs],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO needs(key, need) VALUES (?, ?)",
            [(job.key, need) for job in jobs if job.key in fresh for need in job.needs],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO wishes(profile, key) VALUES (?, ?)", [(profile, job.key) for job in jobs]
        )
        cancelled = {row["key"] for row in _select(connection, "state = ?", State.CANCELLED)}
        for job in jobs:
            if job.key in cancelled:
                _renew(connection, job.key)
        _settle(connection)
    return fresh


def claim(store: Store) -> Attempt | None:
    """Lease the oldest ready job for one attempt; None if there is none, or the farm is paused."""
    with store.change() as connection:
        if _is_paused(connection):
            return None
        job = connection.execute(
            f"SELECT {_JOB}, inputs FROM jobs WHERE state = ? ORDER BY rowid LIMIT 1", (State.READY,)
        ).fetchone()
        if job is None:
            return None
        _move(connection, job["key"], State.LEASED)
        number = connection.execute(
            "INSERT INTO attempts(key, began) VALUES (?, ?)", (job["key"], time.time())
        ).lastrowid
        return _as_attempt(connection, int(number or 0), job)


def finish(store: Store, number: int, digest: str) -> bool:
    """Record the package of an attempt; the first one of a job wins, also that of an attempt that seemed lost.

    Args:
        digest: of a package that is in the object store.

    Returns:
        False if the job does not need it any more.
    """
    with store.change() as connection:
        key = _key_of(connection, number)
        if _outcome_of(connection, number) == _DONE:
            return False
        taken = _state_of(connection, key) in {State.LEASED, State.READY}
        _end(connection, number, _DONE if taken else "late")
        if taken:
            for attempt in connection.execute("SELECT number FROM attempts WHERE key = ? AND outcome = ''", (key,)):
                _end(connection, attempt["number"], "overtaken")
            _move(connection, key, State.DONE, digest=digest)
            _settle(connection)
        return taken


def fail(store: Store, number: int, code: str) -> bool:
    """Record that an attempt could not build its job; False if the attempt is not the current one."""
    with store.change() as connection:
        if not _is_current(connection, number):
            return False
        _end(connection, number, code)
        _move(connection, _key_of(connection, number), State.FAILED, code=code)
        _settle(connection)
        return True


def lose(store: Store, number: int) -> bool:
    """Record that an attempt ended without a result; the job is built again, but not for ever.

    Returns:
        False if the attempt is not the current one.
    """
    with store.change() as connection:
        if not _is_current(connection, number):
            return False
        key = _key_of(connection, number)
        _end(connection, number, "lost")
        connection.execute("UPDATE jobs SET losses = losses + 1 WHERE key = ?", (key,))
        if _read(connection, key).losses >= MOST_LOSSES:
            _move(connection, key, State.FAILED, code=KILLS_BUILDERS)
        else:
            _move(connection, key, State.READY)
        _settle(connection)
        return True


def release(store: Store, number: int) -> bool:
    """Return the job of an attempt that could not be started; that is no fault of the job.

    Returns:
        False if the attempt is not the current one.
    """
    with store.change() as connection:
        if not _is_current(connection, number):
            return False
        _end(connection, number, "not-started")
        _move(connection, _key_of(connection, number), State.READY)
        _settle(connection)
        return True


def cancel(store: Store, key: str) -> None:
    """Cancel a job; those that need it fail.

    Raises:
        RunError[wrong-state]: it has ended.
    """
    with store.change() as connection:
        job = _read(connection, key)
        if job.state not in _OPEN:
            raise wrong_state(job, "cancel")
        for attempt in connection.execute("SELECT number FROM attempts WHERE key = ? AND outcome = ''", (key,)):
            _end(connection, attempt["number"], "cancelled")
        _move(connection, key, State.CANCELLED)
        _settle(connection)


def retry(store: Store, key: str) -> None:
    """Build a job again that failed or was cancelled, with what it needs, and what failed because of it.

    Raises:
        RunError[wrong-state]: it did neither.
    """
    with store.change() as connection:
        job = _read(connection, key)
        if job.state not in {State.FAILED, State.CANCELLED}:
            raise wrong_state(job, "retry")
        _renew(connection, key)
        _settle(connection)


def lose_object(store: Store, digest: str) -> None:
    """Build the jobs again whose package is damaged or missing in the object store."""
    with store.change() as connection:
        for row in _select(connection, "digest = ?", digest):
            _move(connection, row["key"], State.WAITING)
        _settle(connection)


def pause(store: Store, *, paused: bool) -> None:
    """Start no further attempts, or start them again; those that run are not affected."""
    with store.change() as connection:
        connection.execute("INSERT OR REPLACE INTO switches(name, enabled) VALUES (?, ?)", (_PAUSED, int(paused)))


def is_paused(store: Store) -> bool:
    """Return whether no further attempts are started."""
    with store.view() as connection:
        return _is_paused(connection)


def list_jobs(store: Store) -> tuple[Job, ...]:
    """Return all jobs, the oldest first."""
    with store.view() as connection:
        return tuple(map(_as_job, connection.execute(f"SELECT {_JOB} FROM jobs ORDER BY rowid")))


def find_job(store: Store, start: str) -> Job:
    """Return the job whose key begins with a text.

    Raises:
        UsageError[unknown-job]: there is none, or more than one.
    """
    with store.view() as connection:
        rows = _select(connection, "substr(key, 1, ?) = ?", len(start), start)
    if len(rows) != 1:
        raise unknown_job(start)
    return _as_job(rows[0])


def list_open_attempts(store: Store) -> tuple[Attempt, ...]:
    """Return the attempts that are not known to have ended, the oldest first."""
    with store.view() as connection:
        rows = connection.execute(
            f"SELECT number, {_JOB}, inputs FROM attempts JOIN jobs USING (key) WHERE outcome = '' ORDER BY number"
        ).fetchall()
        return tuple(_as_attempt(connection, row["number"], row) for row in rows)


def list_unpublished(store: Store, profile: str) -> tuple[Job, ...]:
    """Return the finished jobs of a profile whose package is not among its packages, the oldest first."""
    with store.view() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(f'jobs.{name}' for name in Job._fields)} FROM jobs JOIN wishes USING (key) "
            "WHERE wishes.profile = ? AND state = ? AND added <> digest ORDER BY jobs.rowid",
            (profile, State.DONE),
        )
        return tuple(map(_as_job, rows))


def mark_added(store: Store, profile: str, job: Job) -> None:
    """Record that the package of a job is among those of a profile."""
    with store.change() as connection:
        connection.execute("UPDATE wishes SET added = ? WHERE profile = ? AND key = ?", (job.digest, profile, job.key))


def list_profiles(store: Store) -> tuple[str, ...]:
    """Return the profiles with wishes, sorted."""
    with store.view() as connection:
        return tuple(row["profile"] for row in connection.execute("SELECT DISTINCT profile FROM wishes ORDER BY 1"))


def _settle(connection: sqlite3.Connection) -> None:
    """Move jobs as those that they need have moved, until nothing changes."""
    needed = "SELECT 1 FROM needs JOIN jobs AS other ON other.key = need WHERE needs.key = jobs.key AND other.state"
    moved = True
    while moved:
        moved = False
        ended = _select(connection, f"state = 'waiting' AND EXISTS ({needed} IN ('failed', 'cancelled'))")
        ready = _select(connection, f"state = 'waiting' AND NOT EXISTS ({needed} <> 'done')")
        early = _select(connection, f"state = 'ready' AND EXISTS ({needed} <> 'done')")
        for rows, state, code in (
            (ended, State.FAILED, DEPENDENCY),
            (ready, State.READY, ""),
            (early, State.WAITING, ""),
        ):
            for row in rows:
                _move(connection, row["key"], state, code=code)
                moved = True


def _renew(connection: sqlite3.Connection, key: str) -> None:
    """Move a job to waiting that failed or was cancelled, with what it needs, and what failed because of it."""
    pending, seen = [key], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        job = _read(connection, current)
        if job.state in {State.FAILED, State.CANCELLED}:
            connection.execute("UPDATE jobs SET losses = 0 WHERE key = ?", (current,))
            _move(connection, current, State.WAITING)
        pending += [row["need"] for row in connection.execute("SELECT need FROM needs WHERE key = ?", (current,))]
        pending += [
            row["key"]
            for row in connection.execute(
                "SELECT key FROM needs JOIN jobs USING (key) WHERE need = ? AND state = 'failed' AND code = ?",
                (current, DEPENDENCY),
            )
        ]


def _move(connection: sqlite3.Connection, key: str, state: State, *, code: str = "", digest: str = "") -> None:
    connection.execute(
        "UPDATE jobs SET state = ?, code = ?, digest = ?, changed = ? WHERE key = ?",
        (state, code, digest, time.time(), key),
    )


def _end(connection: sqlite3.Connection, number: int, outcome: str) -> None:
    connection.execute("UPDATE attempts SET outcome = ?, ended = ? WHERE number = ?", (outcome, time.time(), number))


def _select(connection: sqlite3.Connection, condition: str, *values: object) -> list[sqlite3.Row]:
    return connection.execute(f"SELECT {_JOB} FROM jobs WHERE {condition} ORDER BY rowid", values).fetchall()


def _read(connection: sqlite3.Connection, key: str) -> Job:
    rows = _select(connection, "key = ?", key)
    if not rows:
        raise unknown_job(key)
    return _as_job(rows[0])


def _state_of(connection: sqlite3.Connection, key: str) -> State:
    return _read(connection, key).state


def _key_of(connection: sqlite3.Connection, number: int) -> str:
    return str(connection.execute("SELECT key FROM attempts WHERE number = ?", (number,)).fetchone()["key"])


def _outcome_of(connection: sqlite3.Connection, number: int) -> str:
    return str(connection.execute("SELECT outcome FROM attempts WHERE number = ?", (number,)).fetchone()["outcome"])


def _is_current(connection: sqlite3.Connection, number: int) -> bool:
    return not _outcome_of(connection, number)


def _is_paused(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT enabled FROM switches WHERE name = ?", (_PAUSED,)).fetchone()
    return bool(row and row["enabled"])


def _as_job(row: sqlite3.Row) -> Job:
    return Job(**{**{name: row[name] for name in Job._fields}, "state": State(row["state"])})


def _as_attempt(connection: sqlite3.Connection, number: int, job: sqlite3.Row) -> Attempt:
    rows: Iterable[sqlite3.Row] = connection.execute(
        "SELECT cpv, digest FROM needs JOIN jobs ON jobs.key = need WHERE needs.key = ? ORDER BY cpv", (job["key"],)
    )
    needs = tuple(Need(row["cpv"], row["digest"]) for row in rows)
    return Attempt(number, job["key"], job["profile"], job["cpv"], job["inputs"], needs)
