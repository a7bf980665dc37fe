"""The line over a whole run: packages, phases, and the time that is left."""

import os
import pty
import struct
import sys
import termios
from fcntl import ioctl

import pytest

from gentoomuch_portage import console
from gentoomuch_portage.events.progress import Progress


def of(cpv: str, **more: object) -> dict:
    return {"cpv": cpv, "root": "/", **more}


def event(kind: str, cpv: str = "", **more: object) -> dict:
    return {"event": kind, **of(cpv), **more}


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def progress(clock) -> Progress:
    return Progress(
        lambda _: {("a/foo", "ebuild"): 100.0, ("a/bar", "ebuild"): 50.0}, lambda cpv: cpv[:-2], lambda: clock[0]
    )


def resolved(*cpvs: str, jobs: int = 1, quiet: bool = False) -> dict:
    return {"event": "resolved", "jobs": jobs, "quiet": quiet, "merges": [of(one, source="ebuild") for one in cpvs]}


def test_the_line_tells_what_is_done_what_runs_and_how_long_it_will_take(progress, clock):
    progress.hear(resolved("a/foo-1", "a/bar-1"))
    before = progress.line()
    progress.hear(event("entered", "a/foo-1", phase="task"))
    progress.hear(event("entered", "a/foo-1", phase="compile"))
    clock[0] = 60
    during = progress.line()
    progress.hear(event("package", "a/foo-1", status=0))

    assert before == "0 of 2 done; about 2 min left"
    assert during == "0 of 2 done; a/foo-1 compile; about 2 min left"
    assert progress.line() == "1 of 2 done; about 50 s left"


def test_what_was_never_built_is_counted_and_not_guessed(progress):
    progress.hear(resolved("a/new-1", "a/bar-1"))
    assert progress.line() == "0 of 2 done; about 50 s left besides 1 never built before"

    progress.hear(resolved("a/new-1"))
    assert progress.line() == "0 of 1 done"


def test_what_failed_is_told_and_no_longer_waited_for(progress):
    progress.hear(resolved("a/foo-1", "a/bar-1", jobs=2))
    progress.hear(event("entered", "a/foo-1", phase="task"))
    progress.hear(event("package", "a/foo-1", status=1))

    assert progress.line() == "0 of 2 done, 1 failed; about 50 s left"


def test_a_run_that_takes_longer_than_ever_has_never_less_than_nothing_left(progress, clock):
    progress.hear(resolved("a/bar-1"))
    progress.hear(event("entered", "a/bar-1", phase="task"))
    clock[0] = 500

    assert progress.line().endswith("about 1 s left")


def test_quiet_runs_and_ended_ones_show_nothing(progress):
    assert progress.quiet
    progress.hear(resolved("a/foo-1", quiet=True))
    assert progress.quiet
    progress.hear(resolved("a/foo-1"))
    assert not progress.quiet
    progress.hear(event("ended"))
    assert progress.quiet


def test_the_last_row_of_a_terminal_is_kept_apart_and_a_terminal_that_goes_away_takes_nothing_along(monkeypatch):
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    with open(theirs, "w") as stream:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        row = console.BottomLine()

        row.draw("more than twenty columns")
        shown = os.read(ours, 1000).decode()
        os.close(ours)
        row.draw("nobody sees this")
        row.close()

    assert "\033[1;9r" in shown
    assert shown.endswith("\033[10;1H\033[2Kmore than twenty co\0338")
    assert not row.possible
