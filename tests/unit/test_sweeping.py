"""Killed runs: what they were merging goes to its end before anything of theirs is removed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import cleanup, lifecycle
from gentoomuch_portage.plan.plan import Plan

_RUN = """
import os, signal, sys, time
from pathlib import Path
from gentoomuch_portage.containers import lifecycle as boxes
with boxes.folder(Path(sys.argv[1])):
    run = os.getpid()
    if not os.fork():  # as Portage does for each merge
        while os.getppid() == run:
            time.sleep(0.01)
        time.sleep(0.2)
        Path(sys.argv[1], "merged").touch()
        os._exit(0)
    print("merging", flush=True)
    signal.pause()
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has a folder and merges, up to its own end and a bit longer."""
    with subprocess.Popen([sys.executable, "-c", _RUN, tmp_path], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "merging\n"
        yield run
        run.kill()
        run.communicate()  # to its orphan's end


def _sweep(cache: Path) -> list[Path]:
    """Sweep; what is left."""
    plan = Plan(profile="router", base="none", root="/")
    cleanup.sweep(Settings.of({"GM_CACHE": str(cache)}), plan)
    return list((cache / "containers").iterdir())


def test_a_folder_whose_killed_run_still_merges_is_swept_when_that_has_ended(
    running: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running.kill()
    running.wait()

    left = _sweep(tmp_path)

    assert left == []
    assert (tmp_path / "merged").exists()
    assert "still merging" in capsys.readouterr().err


def test_nobody_waits_longer_for_it_than_is_said(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.kill()
    running.wait()
    [place] = lifecycle.killed(tmp_path)

    with cleanup.taken(place, patience=0) as ours:
        assert not ours


def test_a_run_that_lives_is_neither_swept_nor_waited_for(
    running: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(_sweep(tmp_path)) == 1
    assert capsys.readouterr().err == ""


def test_a_folder_that_was_only_just_made_when_its_run_was_killed_is_swept(tmp_path: Path) -> None:
    (tmp_path / "containers/run-x/root").mkdir(parents=True)

    assert _sweep(tmp_path) == []
