# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch profile diff | lint | env | run`` on a host with real Portage."""

import json
import signal
import subprocess
import sys

import pytest
from helpers.waiting import HANG, wait_for

from gentoomuch_portage.demo_host import Host

BOTH = {
    "common/make.conf": 'USE="nls"\nCFLAGS="-O2"\n',
    "small/make.conf": 'USE="-nls"\nCFLAGS="-Os"\n',
}
HELD = (
    "import fcntl, os; number = os.open(os.environ['PORTAGE_CONFIGROOT'], os.O_RDONLY); "
    "fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)"
)


@pytest.fixture
def router(host: Host) -> Host:
    """A profile ``router`` of two layers that contradict each other, and ``desktop`` of the first alone."""
    host.profile("router", 'cpu = "x86-64"\nlayers = ["common", "small"]\n', BOTH)
    host.profile("desktop", 'layers = ["common"]\nroot = "/mnt/desktop"\nisolation = "none"\n')
    return host


def test_diff_compares_the_composed_make_conf(router, on):
    ended = on("gentoomuch", "profile", "diff", "desktop", "router")

    assert ended.status == 0, ended.err
    assert "+layer small" in ended.out
    assert '+CFLAGS="-Os"' in ended.out
    assert "-root /mnt/desktop" in ended.out


def test_lint_exits_1_with_findings_and_0_without(router, on):
    assert on("gentoomuch", "profile", "lint", "router").status == 1
    assert on("gentoomuch", "profile", "lint", "desktop").status == 0


def test_lint_of_all_profiles_finds_the_broken_one_too(router, on):
    router.profile("broken", 'layers = ["gone"]\n')

    ended = on("gentoomuch", "profile", "lint", "--json")

    assert ended.status == 1
    assert [(one["profile"], one["kind"]) for one in json.loads(ended.out)] == [
        ("broken", "bad-layer"),
        ("router", "flag"),
        ("router", "variable"),
    ]


def test_use_expand_variables_that_add_up_are_no_contradiction(host, on):
    layers = {"a/make.conf": 'VIDEO_CARDS="intel"\n', "b/make.conf": 'VIDEO_CARDS="radeonsi"\n'}
    host.profile("lab", 'layers = ["a", "b"]\n', layers)

    assert on("gentoomuch", "profile", "lint", "lab").out == ""


def test_profile_env_equals_the_environment_of_portage(router, on):
    script = 'eval "$(gentoomuch profile env router)"; portageq envvar CFLAGS; test -d "$PORTAGE_TMPDIR"'

    ended = on("sh", "-c", script)

    assert (ended.status, ended.out) == (0, "-Os -march=x86-64\n")


def test_the_environment_is_quoted_for_a_shell(host, on):
    host.profile("lab", 'root = "/mnt/it\'s $HOME"\n')

    ended = on("sh", "-c", 'eval "$(gentoomuch profile env lab)"; printf %s "$ROOT:$GM_HOST"')

    assert ended.out == f"/mnt/it's $HOME:{host.eprefix}"


def test_a_root_that_was_exported_before_does_not_leak_into_another_profile(router, on):
    ended = on("sh", "-c", 'eval "$(gentoomuch profile env router)"; echo "$ROOT"', ROOT="/mnt/elsewhere")

    assert ended.out == "/\n"


def test_run_becomes_the_command_and_ends_as_it_does(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", "sh", "-c", 'echo "$0 $*"; exit 7', "--json", "--")

    assert (ended.status, ended.out) == (7, "--json --\n")


def test_run_holds_the_configroot_as_long_as_the_command_lives(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", sys.executable, "-c", HELD)

    assert "BlockingIOError" in ended.err


def test_the_configroot_is_unlocked_afterwards(router, on):
    ended = on("sh", "-c", f'eval "$(gentoomuch profile env router)"; "{sys.executable}" -c "$0"', HELD)

    assert ended.status == 0, ended.err


def test_a_missing_command_is_one_error(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", "no-such-program")

    assert ended.status == 69
    assert "no-such-program is not on PATH" in ended.err


def test_a_command_that_cannot_be_run_is_one_clear_error(router, on):
    ended = on("gentoomuch", "profile", "run", "router", "--", str(router.etc))

    assert ended.status == 69
    assert "Traceback" not in ended.err
    assert "Permission denied" in ended.err


def test_a_closed_output_pipe_is_no_error(router, on):
    ended = on("bash", "-c", "gentoomuch profile show router | true; exit ${PIPESTATUS[0]}")

    assert ended.status in {0, 128 + signal.SIGPIPE}
    assert ended.err == ""


def test_ctrl_c_ends_quietly_with_130(host):
    env = host.env(PATH=f"{_slow(host)}:{host.env()['PATH']}")
    main = "from gentoomuch_portage.cli.main import main; raise SystemExit(main())"
    program = subprocess.Popen(
        [sys.executable, "-c", main, "doctor"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for((host.folder / "asked").exists, "doctor runs a program")

    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=HANG)

    assert (program.returncode, err) == (130, "")


def _slow(host: Host) -> str:
    """A folder with a compiler that says that it was asked, and never answers."""
    folder = host.folder / "slow"
    folder.mkdir()
    (folder / "gcc").write_text(f"#!/bin/sh\ntouch {host.folder}/asked\nexec sleep 3600\n")
    (folder / "gcc").chmod(0o755)
    return str(folder)
