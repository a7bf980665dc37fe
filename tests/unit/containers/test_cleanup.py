# SPDX-License-Identifier: GPL-2.0-or-later
"""Killed runs: what they were merging is merged before their directories are removed."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.waiting import wait_for

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import cleanup, lifecycle
from gentoomuch_portage.plan.plan import Plan

_RUN = """
import os, signal, sys, time
from pathlib import Path
from gentoomuch_portage.containers import lifecycle
with lifecycle.run_directory(Path(sys.argv[1])):
    run = os.getpid()
    if not os.fork():  # as Portage does for each merge
        while not Path(sys.argv[1], "merge").exists():
            time.sleep(0.01)
        Path(sys.argv[1], "merged").touch()
        os._exit(0)
    print("merging", flush=True)
    signal.pause()
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run with a merge that goes on after its end, until there is a file ``merge``."""
    with subprocess.Popen([sys.executable, "-c", _RUN, tmp_path], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "merging\n"
        yield run
        run.kill()
        (tmp_path / "merge").touch()
        run.communicate()  # to its orphan's end


def _recover(cache: Path) -> list[Path]:
    """Recover, and return what is left."""
    plan = Plan(profile="router", base="none", root="/")
    cleanup.recover(Settings.load({"GM_CACHE": str(cache)}), plan)
    return list((cache / "containers").iterdir())


def test_recovery_waits_for_the_merge_of_a_killed_run(
    running: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running.kill()
    running.wait()

    with ThreadPoolExecutor(1) as other:
        left = other.submit(_recover, tmp_path)
        wait_for(lambda: "waiting" in capsys.readouterr().err or left.done(), "it is reported that recovery waits")
        merged_before = (tmp_path / "merged").exists()
        (tmp_path / "merge").touch()

    assert left.result() == []
    assert (merged_before, (tmp_path / "merged").exists()) == (False, True)


def test_owning_gives_up_after_its_patience(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.kill()
    running.wait()
    [place] = lifecycle.find_killed(tmp_path)

    with cleanup.owning(place, patience=0) as is_owner:
        assert not is_owner


def test_recovery_ignores_running_runs(
    running: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(_recover(tmp_path)) == 1
    assert capsys.readouterr().err == ""


def test_recovery_removes_a_run_killed_before_its_lock(tmp_path: Path) -> None:
    (tmp_path / "containers/run-x/root").mkdir(parents=True)

    assert _recover(tmp_path) == []
