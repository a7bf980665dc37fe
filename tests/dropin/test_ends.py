# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals, terminals and closed streams: gm-emerge ends as emerge ends."""

import os
import shlex
import signal
import subprocess

import pytest
from helpers.waiting import HANG

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_build_ends_gm_emerge_as_it_ends_emerge(both_signalled, number):
    theirs, ours = both_signalled("app-test/slow", number, group=False)

    assert ours == theirs
    assert theirs.status == 128 + number
    assert f"Exiting on signal {number}" in theirs.out + theirs.err


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_all_of_a_build_ends_gm_emerge_as_it_ends_emerge(both_signalled, number):
    theirs, ours = both_signalled("--jobs=2 app-test/slow", number, group=True)

    assert ours.status == theirs.status == 128 + number
    assert f"Exiting on signal {number}" in ours.out + ours.err


def test_ctrl_c_at_a_terminal_ends_gm_emerge_as_it_ends_emerge(both_at_a_terminal):
    theirs, ours = both_at_a_terminal("--nospinner app-test/slow", asked="Compiling source", typed="\x03")

    assert ours.status == theirs.status == 128 + signal.SIGINT


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("Yes\n", 0), ("n\n", 130), ("\n", 0)])
def test_ask_prompts_at_a_terminal(both_at_a_terminal, typed, status):
    theirs, ours = both_at_a_terminal("--ask --nospinner -1 dev-test/twin", asked="Would you like", typed=typed)

    # Where the terminal's echo of what is typed falls among what is printed is chance, with either program.
    assert (ours.status, ours.left) == (theirs.status, theirs.left)
    assert theirs.status == status, theirs.out
    assert "Would you like to merge these packages?" in theirs.out
    assert "Would you like to merge these packages?" in ours.out


def test_a_terminal_gets_colours_and_its_title(both_at_a_terminal):
    theirs, ours = both_at_a_terminal("-p --nospinner app-test/plain", asked="", typed="")

    assert ours == theirs
    assert "\x1b[32;01m" in theirs.out


@pytest.mark.parametrize("line", ["--help", "--info", "-p app-demo/gm-hello", "--version"])
def test_a_closed_pipe_ends_both_with_sigpipe(scene, line):
    theirs, ours = (_into_a_closed_pipe(scene, program, line) for program in (scene.emerge, scene.gm_emerge))

    assert ours == theirs
    assert theirs[0] == -signal.SIGPIPE


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_dealt_with_as_emerge_does(scene, closed):
    theirs, ours = (_with_closed(scene, program, closed) for program in (scene.emerge, scene.gm_emerge))

    assert ours.status == theirs.status
    assert ours.out == theirs.out
    assert ours.err.splitlines()[-1:] == theirs.err.splitlines()[-1:]  # above it stands a traceback


def _into_a_closed_pipe(scene, program, line):
    scene.put_back("lived-in")
    read, write = os.pipe()
    os.close(read)
    process = scene.start([*program, *shlex.split(line)], {}, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    err = process.communicate(timeout=HANG)[1]
    return process.returncode, err


def _with_closed(scene, program, closed):
    scene.put_back("lived-in")
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = ["bash", "-c", f'exec "$@" {closed}>&-', "bash", *program, "-p", "app-test/plain"]
    process = scene.start(command, {}, **streams)
    out, err = process.communicate(timeout=HANG)
    return scene.seen(process.returncode, out, err)
