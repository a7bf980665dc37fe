# SPDX-License-Identifier: GPL-2.0-or-later
"""The record of runs: whole lines whoever writes, half a line passed over, full files put aside, runs read back."""

from multiprocessing import get_context
from pathlib import Path

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.events import estimate


def ended(run: str, at: float = 1.0) -> dict:
    return {"event": "ended", "run": run, "at": at, "status": 0, "seconds": 2.0, "arguments": ["foo"]}


def package(cpv: str, seconds: float, *, source: str = "ebuild", status: int = 0) -> dict:
    return {"cpv": cpv, "source": source, "status": status, "seconds": seconds}


def _writes(state: Path, name: str, times: int) -> None:
    for number in range(times):
        history.append(state, "a", {**ended(f"{name}-{number}"), "arguments": ["x" * 5000]})


def test_concurrent_runs_write_complete_lines(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(history, "FULL", 100_000)
    writers = [get_context("fork").Process(target=_writes, args=(tmp_path, str(one), 20)) for one in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()

    names = [one["run"] for one in history.read_events(tmp_path, "a")]
    assert sorted(names) == sorted(f"{one}-{number}" for one in range(3) for number in range(20))
    assert (tmp_path / "a/history.2.jsonl").is_file()


def test_a_killed_writer_spoils_at_most_its_own_line_and_leaves_no_lock(tmp_path: Path):
    for _ in range(5):
        writer = get_context("fork").Process(target=_writes, args=(tmp_path, "k", 10_000))
        writer.start()
        writer.join(0.05)
        writer.kill()  # or it has ended before
        writer.join()

    history.append(tmp_path, "a", ended("last"))

    lines = history.path(tmp_path, "a").read_text().splitlines()
    events = list(history.read_events(tmp_path, "a"))
    assert events[-1]["run"] == "last"
    assert len(lines) - len(events) <= 5  # the kernel may end a long write of a killed process early


def test_half_a_line_is_passed_over_and_spoils_no_other(tmp_path: Path):
    history.append(tmp_path, "a", ended("first"))
    with history.path(tmp_path, "a").open("a") as file:
        file.write('{"event": "ended", "run": "ha')

    history.append(tmp_path, "a", ended("second"))

    assert [one["run"] for one in history.read_events(tmp_path, "a")] == ["first", "second"]


def test_rotation_removes_the_oldest_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(history, "FULL", 1)
    for number in range(history.ROTATED + 3):
        history.append(tmp_path, "a", ended(str(number)))

    assert [one["run"] for one in history.read_events(tmp_path, "a")] == ["2", "3", "4", "5", "6"]


def test_a_run_without_an_end_has_no_status(tmp_path: Path):
    begun = {"event": "resolved", "run": "1", "at": 1.0, "goal": "merge", "jobs": 1, "process": 1, "arguments": ["foo"]}
    history.append(tmp_path, "a", {**begun, "merges": [{"cpv": "a/foo-1"}], "rejected": {}, "unmasked": []})
    history.append(tmp_path, "a", ended("2", 2.0))

    first, second = history.read_runs(tmp_path, "a")

    assert (first.status, first.planned, first.goal) == (None, ("a/foo-1",), "merge")
    assert (second.status, second.goal) == (0, "")


def test_a_history_of_version_01_is_read_by_its_old_names(tmp_path: Path):
    resolved = {"event": "resolved", "run": "1", "at": 1.0, "goal": "merge", "jobs": 1, "process": 1, "merges": []}
    history.append(tmp_path, "a", {**resolved, "words": ["foo"], "refused": {"a/foo-1-1": "sse4"}, "unmasked": []})
    history.append(
        tmp_path, "a", {"event": "ended", "run": "2", "at": 2.0, "status": 0, "seconds": 2.0, "words": ["bar"]}
    )

    first, second = history.read_runs(tmp_path, "a")

    assert (first.arguments, first.rejected, second.arguments) == (("foo",), {"a/foo-1-1": "sse4"}, ("bar",))


def test_the_estimate_is_the_median_of_the_last_successful_builds():
    told = [
        package("a/foo-1", 100),
        package("a/foo-bar-1", 7),
        *(package("a/foo-2-r1", seconds) for seconds in (10, 20, 30, 40, 50)),
        package("a/foo-2", 999, status=1),
        package("a/foo-2", 2, source="binpkg"),
    ]

    usual = estimate.find_usual(told, {"a/foo-3": "a/foo"})

    assert usual == {("a/foo", "ebuild"): 30, ("a/foo", "binpkg"): 2}


@pytest.mark.parametrize(
    ("running", "waiting", "jobs", "seconds"),
    [
        ((), (), 1, 0),
        ((5,), (3, 4), 1, 12),
        ((5, 1), (3, 4), 2, 8),
        ((), (10, 1, 1), 2, 10),
        ((9, 9), (), 1, 9),
    ],
)
def test_the_remaining_time_depends_on_the_number_of_jobs(running, waiting, jobs, seconds):
    assert estimate.remaining(running, waiting, jobs) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3540, "59 min"), (7500, "2 h 05 min")]
)
def test_an_estimate_is_spoken_no_more_exactly_than_it_is(seconds: float, text: str):
    assert estimate.format_duration(seconds) == text
