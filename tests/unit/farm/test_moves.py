# SPDX-License-Identifier: GPL-2.0-or-later
"""The state machine of a farm: each transition, random sequences of them, and processes that are killed."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentoomuch_portage.errors import GmError
from gentoomuch_portage.farm import moves
from gentoomuch_portage.farm.jobs import MOVES, Attempt, NewJob, State
from gentoomuch_portage.farm.store import Store


def key(name: str) -> str:
    return name.encode().hex().rjust(64, "0")


def job(name: str, *needs: str) -> NewJob:
    return NewJob(key(name), f"app-demo/{name}-1", "{}", tuple(map(key, needs)))


CHAIN = (job("base"), job("tool", "base"), job("leaf", "base", "tool"))
DIGEST = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "farm") as opened:
        yield opened


def states(store: Store) -> dict[str, str]:
    return {each.cpv.removeprefix("app-demo/").removesuffix("-1"): str(each.state) for each in moves.list_jobs(store)}


def claim(store: Store) -> Attempt:
    attempt = moves.claim(store)
    assert attempt is not None
    return attempt


def build(store: Store) -> Attempt:
    attempt = claim(store)
    assert moves.finish(store, attempt.number, DIGEST)
    return attempt


def code(store: Store, name: str) -> str:
    return moves.find_job(store, key(name)).code


def test_a_job_is_ready_when_all_that_it_needs_is_done(store: Store) -> None:
    assert set(moves.add(store, "router", CHAIN)) == {each.key for each in CHAIN}
    assert states(store) == {"base": "ready", "tool": "waiting", "leaf": "waiting"}
    build(store)
    assert states(store) == {"base": "done", "tool": "ready", "leaf": "waiting"}
    build(store)
    assert [(need.cpv, need.digest) for need in claim(store).needs] == [
        ("app-demo/base-1", DIGEST),
        ("app-demo/tool-1", DIGEST),
    ]


def test_a_second_equal_wish_adds_nothing_to_build(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    build(store)
    assert moves.add(store, "other", CHAIN) == ()
    assert states(store)["base"] == "done"
    assert [each.cpv for each in moves.list_unpublished(store, "other")] == ["app-demo/base-1"]
    assert moves.list_profiles(store) == ("other", "router")


def test_a_wish_is_added_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        moves.add(store, "router", (job("base"), job("leaf", "unknown")))
    assert moves.list_jobs(store) == ()


@pytest.mark.parametrize("wrong", ["", "a" * 63, "A" * 64, "../" * 21 + "a"])
def test_a_key_of_another_form_is_rejected(store: Store, wrong: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        moves.add(store, "router", (NewJob(wrong, "app-demo/base-1", "{}", ()),))


def test_a_job_is_leased_once(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    claim(store)
    assert moves.claim(store) is None


def test_what_needs_a_failed_job_fails_and_a_retry_builds_all_of_it(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    assert moves.fail(store, claim(store).number, "build-failed")
    assert states(store) == {"base": "failed", "tool": "failed", "leaf": "failed"}
    assert (code(store, "base"), code(store, "leaf")) == ("build-failed", "dependency")
    moves.retry(store, key("leaf"))
    assert states(store) == {"base": "ready", "tool": "waiting", "leaf": "waiting"}
    assert code(store, "base") == ""


def test_what_needs_a_cancelled_job_fails_and_a_new_wish_builds_it(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    attempt = claim(store)
    moves.cancel(store, attempt.key)
    assert states(store) == {"base": "cancelled", "tool": "failed", "leaf": "failed"}
    assert moves.list_open_attempts(store) == ()
    assert not moves.finish(store, attempt.number, DIGEST)
    moves.add(store, "router", CHAIN)
    assert states(store) == {"base": "ready", "tool": "waiting", "leaf": "waiting"}


def test_a_lost_attempt_is_repeated_until_the_job_is_suspected(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    for _ in range(moves.MOST_LOSSES):
        assert states(store)["base"] == "ready"
        assert moves.lose(store, claim(store).number)
    assert (states(store)["base"], code(store, "base")) == ("failed", "kills-builders")
    assert code(store, "tool") == "dependency"
    moves.retry(store, key("base"))
    assert moves.find_job(store, key("base")).losses == 0


def test_an_attempt_that_could_not_start_is_not_a_loss(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    for _ in range(moves.MOST_LOSSES + 1):
        assert moves.release(store, claim(store).number)
    assert states(store)["base"] == "ready"


def test_the_first_result_wins_also_that_of_an_attempt_that_seemed_lost(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    first = claim(store)
    moves.lose(store, first.number)
    second = claim(store)
    assert moves.finish(store, first.number, DIGEST)
    assert not moves.finish(store, second.number, "cd" * 32)
    assert not moves.fail(store, second.number, "build-failed")
    assert not moves.lose(store, second.number)
    assert moves.find_job(store, key("base")).digest == DIGEST


def test_a_result_that_comes_after_the_loss_is_taken_before_the_next_attempt(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    first = claim(store)
    moves.lose(store, first.number)
    assert moves.finish(store, first.number, DIGEST)
    assert states(store) == {"base": "done", "tool": "ready", "leaf": "waiting"}


def test_a_job_whose_object_was_lost_is_built_again_before_what_needs_it(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    build(store)
    moves.lose_object(store, DIGEST)
    assert states(store) == {"base": "ready", "tool": "waiting", "leaf": "waiting"}


def test_a_paused_farm_starts_nothing_and_takes_what_ends(store: Store) -> None:
    moves.add(store, "router", (*CHAIN, job("other")))
    attempt = claim(store)
    moves.pause(store, paused=True)
    assert moves.is_paused(store)
    assert moves.claim(store) is None
    assert moves.finish(store, attempt.number, DIGEST)
    moves.pause(store, paused=False)
    assert moves.claim(store) is not None


@pytest.mark.parametrize(("verb", "ends"), [(moves.cancel, True), (moves.retry, False)])
def test_a_move_that_the_state_does_not_allow_is_rejected(store: Store, verb, ends: bool) -> None:
    moves.add(store, "router", CHAIN)
    if ends:
        build(store)
    with pytest.raises(GmError) as caught:
        verb(store, key("base"))
    assert caught.value.code == "wrong-state"


@pytest.mark.parametrize("start", ["f", "0", ""])
def test_a_start_of_no_key_or_of_several_is_rejected(store: Store, start: str) -> None:
    moves.add(store, "router", CHAIN)
    with pytest.raises(GmError) as caught:
        moves.find_job(store, start)
    assert caught.value.code == "unknown-job"


@pytest.mark.parametrize("former", State)
@pytest.mark.parametrize("state", State)
def test_the_database_itself_allows_only_the_moves(tmp_path: Path, former: State, state: State) -> None:
    digest = {State.DONE: DIGEST}
    with Store.open(tmp_path) as store, store.change() as connection:
        connection.execute(
            "INSERT INTO jobs(key, profile, cpv, inputs, state, digest, changed) VALUES (?, '', '', '', ?, ?, 0)",
            (key("base"), former, digest.get(former, "")),
        )
        change = "UPDATE jobs SET state = ?, digest = ?"
        if (former, state) in MOVES:
            connection.execute(change, (state, digest.get(state, "")))
        else:
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(change, (state, digest.get(state, "")))


def test_a_directory_of_others_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "farm").mkdir()
    (tmp_path / "farm").chmod(0o777)
    with pytest.raises(GmError) as caught, Store.open(tmp_path / "farm"):
        pass
    assert caught.value.status == 77


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    with Store.open(tmp_path / "farm"):
        assert stat.S_IMODE((tmp_path / "farm").stat().st_mode) == 0o700


def test_a_damaged_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "farm.sqlite").write_text("nothing of SQLite" * 100)
    tmp_path.chmod(0o700)
    with pytest.raises(GmError) as caught, Store.open(tmp_path):
        pass
    assert caught.value.code == "bad-file"


def test_a_database_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.change() as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(GmError) as caught, Store.open(tmp_path):
        pass
    assert caught.value.code == "bad-file"


def check_history(store: Store) -> None:
    """Check that the recorded transitions lead to the states, and that no job was finished by two attempts."""
    with store.view() as connection:
        assert [row[0] for row in connection.execute("PRAGMA integrity_check")] == ["ok"]
        states = dict.fromkeys([row["key"] for row in connection.execute("SELECT key FROM jobs")], "waiting")
        for row in connection.execute("SELECT key, former, state FROM transitions ORDER BY number"):
            assert row["former"] == states[row["key"]]
            states[row["key"]] = row["state"]
        assert states == {row["key"]: row["state"] for row in connection.execute("SELECT key, state FROM jobs")}
        leased = {each for each, state in states.items() if state == "leased"}
        assert leased == {row["key"] for row in connection.execute("SELECT key FROM attempts WHERE outcome = ''")}
        done = "SELECT key FROM attempts WHERE outcome = 'done'"
        results = [row["key"] for row in connection.execute(done)]
        renewed = [row["key"] for row in connection.execute("SELECT key FROM transitions WHERE former = 'done'")]
        assert sorted(results) == sorted([*renewed, *(each for each, state in states.items() if state == "done")])
        for row in connection.execute("SELECT key, need FROM needs"):
            if states[row["key"]] == "ready":
                assert states[row["need"]] == "done"
            if states[row["key"]] == "waiting":
                assert states[row["need"]] not in {"failed", "cancelled"}


NAMES = tuple("abcdef")
GRAPH = tuple(job(name, *NAMES[max(0, at - 2) : at]) for at, name in enumerate(NAMES))


def jobs_with(store: Store, *allowed: State) -> list[str]:
    return [each.key for each in moves.list_jobs(store) if each.state in allowed]


def cancel_last(store: Store, _number: int) -> None:
    for each in jobs_with(store, State.WAITING, State.READY, State.LEASED)[-1:]:
        moves.cancel(store, each)


def retry_first(store: Store, _number: int) -> None:
    for each in jobs_with(store, State.FAILED, State.CANCELLED)[:1]:
        moves.retry(store, each)


STEPS: tuple[Callable[[Store, int], object], ...] = (
    lambda store, number: moves.finish(store, number, f"{number:064x}"),
    lambda store, number: moves.fail(store, number, "build-failed"),
    moves.lose,
    moves.release,
    lambda store, number: moves.lose_object(store, f"{number:064x}"),
    lambda store, _: moves.add(store, "router", GRAPH),
    cancel_last,
    retry_first,
)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), max_size=12))
def test_no_sequence_of_moves_breaks_the_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Callable[[Store, int], object], int]]
) -> None:
    with Store.open(tmp_path_factory.mktemp("farm")) as store:
        moves.add(store, "router", GRAPH)
        last = 0
        for step, back in steps:
            attempt = moves.claim(store)
            last = attempt.number if attempt else last
            step(store, max(1, last - back))
            check_history(store)


def test_a_result_is_recorded_once_though_it_is_reported_twice(store: Store) -> None:
    moves.add(store, "router", CHAIN)
    attempt = build(store)
    assert not moves.finish(store, attempt.number, "cd" * 32)
    moves.lose_object(store, DIGEST)
    assert not moves.finish(store, attempt.number, DIGEST)
    check_history(store)


WORK = """
import sys
from pathlib import Path
from gentoomuch_portage.farm import moves
from gentoomuch_portage.farm.store import Store
with Store.open(Path(sys.argv[1])) as store:
    for attempt in moves.list_open_attempts(store):
        moves.release(store, attempt.number)
    while attempt := moves.claim(store):
        print("leased", attempt.key, flush=True)
        if moves.finish(store, attempt.number, attempt.key):
            print("done", attempt.key, flush=True)
"""


def test_processes_that_are_killed_lose_nothing_that_was_recorded(tmp_path: Path) -> None:
    jobs = [job("0"), *(job(str(at), str(at - 1)) for at in range(1, 60))]
    with Store.open(tmp_path / "farm") as store:
        moves.add(store, "router", jobs)
    recorded: set[str] = set()
    rounds = 0
    while len(recorded) < len(jobs):
        rounds += 1
        words = [sys.executable, "-c", WORK, str(tmp_path / "farm")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
            assert process.stdout is not None
            lines = [line for _, line in zip(range(5 + rounds), process.stdout, strict=False)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout
        recorded |= {line.split()[1] for line in lines if line.startswith("done ") and line.endswith("\n")}
        with Store.open(tmp_path / "farm") as store:
            check_history(store)
            done = set(jobs_with(store, State.DONE))
            assert recorded <= done
            recorded = done
    assert rounds > 1
