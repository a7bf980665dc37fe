# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that handle Ctrl-C themselves, and those that do not end by it."""

import os
import select
import signal
import subprocess
import sys

import pytest
from helpers.waiting import HANG, wait_for

_RUNS = """
import os, sys
from gentoomuch_portage import process
process._PATIENCE = 1
process.run_interactive([sys.executable, "-c", sys.argv[1]], dict(os.environ))
"""
_DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(300)
"""
_IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(300)
"""
_TERMINATES_ITSELF = """
import os, signal, time
signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
print("ready", flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize(
    "program",
    [_DEAF, _IGNORES_SIGTERM, _TERMINATES_ITSELF],
    ids=["ignores it", "ignores SIGTERM as well", "terminates itself"],
)
def test_ctrl_c_ends_by_a_signal_whatever_the_program_makes_of_it(program: str) -> None:
    """It was 143 then, as if somebody had sent SIGTERM: the status of a program that was terminated."""
    words = [sys.executable, "-c", _RUNS, program]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        os.killpg(run.pid, signal.SIGINT)
        status = run.wait(HANG)

    assert status == -signal.SIGINT


_FORKS = """
import atexit, os, signal, sys
from gentoomuch_portage import process

def ends():
    atexit.register(print, "exit function")
    {body}

status = process.run_forked(ends)
print("returned", status)
"""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("return 3", 3),
        ("sys.exit(4)", 4),
        ("sys.exit()", 0),
        ('sys.exit("reason")', 1),
        ("raise ValueError", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_a_fork_runs_its_exit_functions_and_the_caller_gets_its_status(body: str, status: int) -> None:
    words = [sys.executable, "-c", _FORKS.format(body=body)]
    run = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=HANG, check=True)

    exits = [] if status < 0 else ["exit function"]
    assert run.stdout.splitlines() == [*exits, f"returned {status}"]


def test_a_second_ctrl_c_kills_the_program_at_once() -> None:
    words = [sys.executable, "-c", _RUNS.replace("_PATIENCE = 1", f"_PATIENCE = {HANG * 2}"), _IGNORES_SIGTERM]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"

        def interrupt() -> bool:  # again and again, as two signals that come together are one
            os.killpg(run.pid, signal.SIGINT)
            return bool(select.select([run.stdout], [], [], 0.5)[0])

        wait_for(interrupt, "the program is killed")
        status = run.wait(HANG)

    assert status == -signal.SIGINT
