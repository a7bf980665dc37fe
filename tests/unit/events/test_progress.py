# SPDX-License-Identifier: GPL-2.0-or-later
"""The line over a whole run: packages, phases, and the time that is left."""

import os
import pty
import select
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def test_the_progress_line_has_done_running_and_remaining_time(progress, clock):
    progress.update(resolved("a/foo-1", "a/bar-1"))
    before = progress.line()
    progress.update(event("phase-started", "a/foo-1", phase="task"))
    progress.update(event("phase-started", "a/foo-1", phase="compile"))
    clock[0] = 60
    during = progress.line()
    progress.update(event("package", "a/foo-1", status=0))

    assert before == "0 of 2 done; about 2 min left"
    assert during == "0 of 2 done; a/foo-1 compile; about 2 min left"
    assert progress.line() == "1 of 2 done; about 50 s left"


def test_packages_without_builds_are_counted_but_not_estimated(progress):
    progress.update(resolved("a/new-1", "a/bar-1"))
    assert progress.line() == "0 of 2 done; about 50 s left besides 1 never built before"

    progress.update(resolved("a/new-1"))
    assert progress.line() == "0 of 1 done"


def test_failed_packages_are_shown_and_not_estimated(progress):
    progress.update(resolved("a/foo-1", "a/bar-1", jobs=2))
    progress.update(event("phase-started", "a/foo-1", phase="task"))
    progress.update(event("package", "a/foo-1", status=1))

    assert progress.line() == "0 of 2 done, 1 failed; about 50 s left"


def test_the_remaining_time_is_never_negative(progress, clock):
    progress.update(resolved("a/bar-1"))
    progress.update(event("phase-started", "a/bar-1", phase="task"))
    clock[0] = 500

    assert progress.line().endswith("about 1 s left")


def test_quiet_runs_and_ended_ones_show_nothing(progress):
    assert progress.quiet
    progress.update(resolved("a/foo-1", quiet=True))
    assert progress.quiet
    progress.update(resolved("a/foo-1"))
    assert not progress.quiet
    progress.update(event("ended"))
    assert progress.quiet


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Make stderr a terminal of 10 rows and 20 columns; yields the descriptor on which its output can be read."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    with open(theirs, "w") as stream:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        yield ours


def read_until(terminal: int, ending: str) -> str:
    """Read until the output ends with a text: one read may return only a part of what was written."""
    output = ""
    while not output.endswith(ending):
        assert select.select([terminal], [], [], 60)[0], f"output does not end with {ending!r}: {output!r}"
        output += os.read(terminal, 1000).decode()
    return output


def test_progress_uses_the_last_row_and_survives_a_closed_terminal(monkeypatch):
    with terminal(monkeypatch) as ours:
        row = console.BottomLine()

        row.draw("more than twenty columns")
        output = read_until(ours, "\033[10;1H\033[2Kmore than twenty co\0338")
        os.close(ours)
        row.draw("not visible")
        row.close()

    assert "\033[1;9r" in output
    assert not row.possible


def test_progress_counts_steps_and_clears_its_row_after_an_error(monkeypatch):
    with terminal(monkeypatch) as ours:
        with suppress(ZeroDivisionError), console.progress("read", 3, quiet=False) as advance:
            advance("a\033[2J", 2)
            raise ZeroDivisionError
        output = read_until(ours, "\033[10;1H\033[2K\033[1;10r\0338")
        os.close(ours)

    assert "\033[2Kread 2/3  a\\x1b[2J" in output


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_is_not_printed_with_quiet_or_without_a_terminal(quiet, monkeypatch, capsys):
    with console.progress("read", 3, quiet=quiet) as advance:
        advance("a", 1)

    assert capsys.readouterr() == ("", "")
