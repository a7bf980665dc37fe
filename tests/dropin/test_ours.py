# SPDX-License-Identifier: GPL-2.0-or-later
"""What gm-emerge adds to emerge, where it adds anything; and that it leaves no trace without a profile."""

import subprocess
import sys

import pytest
from helpers.emerge_pair import run
from helpers.waiting import HANG

from gentoomuch_portage import __version__


@pytest.mark.parametrize("line", ["--version", "-V"])
def test_version_prints_that_of_emerge_and_then_our_own(both, line):
    theirs, ours = both(line)

    assert theirs.out.startswith("Portage ")
    assert ours.out == f"{theirs.out}gentoomuch-portage {__version__}\n"
    assert (ours.status, ours.err, ours.left) == (theirs.status, theirs.err, theirs.left)


@pytest.mark.parametrize("line", ["--help", "-h"])
def test_help_prints_that_of_emerge_and_then_our_own(both, line):
    theirs, ours = both(line)

    assert "emerge" in theirs.out
    assert ours.out.startswith(theirs.out)
    assert "--gm-profile=NAME" in ours.out.removeprefix(theirs.out)
    assert (ours.status, ours.err, ours.left) == (theirs.status, theirs.err, theirs.left)


def test_own_variables_without_effect_change_nothing(both):
    theirs, ours = both("-p app-demo/gm-hello", GM_NO="", GM_CONFIG="/nowhere")

    assert ours == theirs


def test_gm_default_opts_precede_the_command_line(scene):
    scene.put_back("lived-in")
    command = [*scene.gm_emerge, "app-test/plain"]
    process = scene.start(
        command, {"GM_DEFAULT_OPTS": "--pretend --verbose"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=HANG)

    assert process.returncode == 0, err
    assert "Total: 1 package (1 upgrade)" in out


def test_plain_runs_write_no_files_of_gentoomuch(both):
    _, ours = both("-1 --buildpkg dev-test/twin")

    assert ours.status == 0
    assert not [name for name in ours.left if "gentoomuch" in name]


def test_an_error_of_portage_itself_is_shown_with_its_traceback(both):
    theirs, ours = both("-p app-test/plain", PORTAGE_CONFIGROOT="/nowhere")

    assert ours.status == theirs.status == 1
    assert "Traceback" in ours.err
    assert _below_the_door(ours.err) == _below_the_door(theirs.err)


def test_the_garbage_collector_is_on_while_emerge_runs(scene):
    script = (
        "import gc, sys; import _emerge.main; from gentoomuch_portage.emerge import main as emerge; "
        "sys.argv = ['gm-emerge', '-p']; "
        "_emerge.main.emerge_main = lambda args: 40 + gc.isenabled(); sys.exit(emerge.main())"
    )
    process = scene.start([sys.executable, "-c", script], {}, stderr=subprocess.PIPE)
    told = process.communicate(timeout=HANG)[1]

    assert process.returncode == 41, told


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("--info", 0, "Repositories:"),
        ("-pv app-demo/gm-hello", 0, "Size of downloads"),
        ("--no-such-option", 2, "unrecognized arguments"),
        ("-1 dev-test/twin", 0, "Completed (1 of 1) dev-test/twin-1.0"),
    ],
)
def test_gm_emerge_equals_emerge_with_a_portage_that_is_not_a_wheel(system_wide, line, status, words):
    theirs, ours = (
        run(system_wide, program, line, {}, state="lived-in") for program in (system_wide.emerge, system_wide.gm_emerge)
    )

    assert ours == theirs
    assert theirs.status == status, theirs
    assert words in theirs.out + theirs.err


def _below_the_door(told: str) -> list[str]:
    """The lines of a traceback from emerge_main on: above it stands the name of the program."""
    lines = told.splitlines()
    return lines[next(number for number, line in enumerate(lines) if "in emerge_main" in line) :]
