# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own programs around a container and in it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.containers import enter, helpers


@pytest.mark.parametrize("module", ["enter", "root_helper", "cleanup", "init"])
def test_no_module_is_imported_from_the_current_directory(module: str, tmp_path: Path) -> None:
    for name in ("json", "ctypes", "gentoomuch_portage", "sitecustomize", "shutil"):
        (tmp_path / f"{name}.py").write_text(f'open({str(tmp_path / "caught")!r}, "w")\n')
    words = helpers.command(f"containers.{module}")
    subprocess.run(words, cwd=tmp_path, env=helpers.environment(), capture_output=True, check=False)
    assert not (tmp_path / "caught").exists()


def test_enter_needs_no_installed_distribution() -> None:
    words = (*helpers.command("containers.enter")[:-2], "-c", "import gentoomuch_portage.containers.enter")
    ended = subprocess.run(words, env={"PYTHONPATH": str(helpers.import_path())}, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_enter_ends_if_its_parent_has_ended(tmp_path: Path) -> None:
    words = (*helpers.command("containers.enter"), enter.OWN, str(tmp_path / "run"), str(os.getppid()))
    ended = subprocess.run(words, env=helpers.environment(), capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGKILL, b"")


def test_pythonpath_of_the_user_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/tmp")
    assert helpers.environment() == {
        **os.environ,
        "PYTHONPATH": str(Path(sys.modules["gentoomuch_portage"].__path__[0]).parent),
    }
