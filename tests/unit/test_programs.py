"""Programs of ours that stand around a box and in it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.containers import helpers


@pytest.mark.parametrize("module", ["enter", "root_helper", "cleanup", "phase_sandbox", "init"])
def test_nothing_is_imported_from_the_folder_that_one_stands_in(module: str, tmp_path: Path) -> None:
    for name in ("json", "ctypes", "gentoomuch_portage", "sitecustomize", "shutil"):
        (tmp_path / f"{name}.py").write_text(f'open({str(tmp_path / "caught")!r}, "w")\n')
    words = helpers.words(f"containers.{module}")
    subprocess.run(words, cwd=tmp_path, env=helpers.environment(), capture_output=True, check=False)
    assert not (tmp_path / "caught").exists()


def test_a_program_of_ours_needs_no_installed_modules() -> None:
    words = (*helpers.words("containers.enter")[:-2], "-c", "import gentoomuch_portage.containers.enter")
    ended = subprocess.run(words, env={"PYTHONPATH": str(helpers.home())}, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_no_box_is_made_for_who_has_been_killed_meanwhile(tmp_path: Path) -> None:
    words = (*helpers.words("containers.enter"), "unshare", str(tmp_path / "run"), str(os.getppid()))
    ended = subprocess.run(words, env=helpers.environment(), capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGKILL, b"")


def test_where_we_are_imported_from_comes_before_what_the_user_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/tmp")
    assert helpers.environment() == {
        **os.environ,
        "PYTHONPATH": str(Path(sys.modules["gentoomuch_portage"].__path__[0]).parent),
    }
