"""The record of runs: whole lines whoever writes, half a line passed over, full files put aside, runs read back."""

import json
import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.events import estimate


def ended(run: str, at: float = 1.0) -> dict:
    return {"event": "ended", "run": run, "at": at, "status": 0, "seconds": 2.0, "words": ["foo"]}


def package(cpv: str, seconds: float, *, source: str = "ebuild", status: int = 0) -> dict:
    return {"cpv": cpv, "source": source, "status": status, "seconds": seconds}


def _writes(state: Path, name: str, times: int) -> None:
    for number in range(times):
        history.append(state, "a", {**ended(f"{name}-{number}"), "words": ["x" * 5000]})


def test_lines_of_runs_that_write_at_the_same_time_stay_whole(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(history, "FULL", 100_000)
    writers = [get_context("fork").Process(target=_writes, args=(tmp_path, str(one), 20)) for one in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()

    names = [one["run"] for one in history.events(tmp_path, "a")]
    assert sorted(names) == sorted(f"{one}-{number}" for one in range(3) for number in range(20))
    assert (tmp_path / "a/history.2.jsonl").is_file()


def test_a_writer_that_is_killed_leaves_whole_lines_and_no_lock(tmp_path: Path):
    for _ in range(5):
        writer = get_context("fork").Process(target=_writes, args=(tmp_path, "k", 10_000))
        writer.start()
        writer.join(0.05)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()

    history.append(tmp_path, "a", ended("last"))

    lines = history.path(tmp_path, "a").read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines][-1] == "last"


def test_half_a_line_is_passed_over_and_spoils_no_other(tmp_path: Path):
    history.append(tmp_path, "a", ended("first"))
    with history.path(tmp_path, "a").open("a") as file:
        file.write('{"event": "ended", "run": "ha')

    history.append(tmp_path, "a", ended("second"))

    assert [one["run"] for one in history.events(tmp_path, "a")] == ["first", "second"]


def test_of_full_files_the_oldest_goes(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(history, "FULL", 1)
    for number in range(history.KEPT + 3):
        history.append(tmp_path, "a", ended(str(number)))

    assert [one["run"] for one in history.events(tmp_path, "a")] == ["2", "3", "4", "5", "6"]


def test_a_run_without_an_end_has_no_status(tmp_path: Path):
    begun = {"event": "resolved", "run": "1", "at": 1.0, "goal": "merge", "jobs": 1, "process": 1, "words": ["foo"]}
    history.append(tmp_path, "a", {**begun, "merges": [{"cpv": "a/foo-1"}], "refused": {}, "unmasked": []})
    history.append(tmp_path, "a", ended("2", 2.0))

    first, second = history.runs(tmp_path, "a")

    assert (first.status, first.planned, first.goal) == (None, ("a/foo-1",), "merge")
    assert (second.status, second.goal) == (0, "")


def test_what_a_package_usually_takes_is_the_median_of_its_latest_builds_that_succeeded():
    told = [
        package("a/foo-1", 100),
        package("a/foo-bar-1", 7),
        *(package("a/foo-2-r1", seconds) for seconds in (10, 20, 30, 40, 50)),
        package("a/foo-2", 999, status=1),
        package("a/foo-2", 2, source="binpkg"),
    ]

    usual = estimate.usual(told, {"a/foo-3": "a/foo"})

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
def test_what_remains_depends_on_how_many_run_at_a_time(running, waiting, jobs, seconds):
    assert estimate.remaining(running, waiting, jobs) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3540, "59 min"), (7500, "2 h 05 min")]
)
def test_an_estimate_is_spoken_no_more_exactly_than_it_is(seconds: float, text: str):
    assert estimate.spoken(seconds) == text
