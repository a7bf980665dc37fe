# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that are imported when they are first used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.startup import LazyModule


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``lazily`` that can be imported."""
    folder = tmp_path / "lazily"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazily"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def test_a_lazy_module_is_imported_when_a_name_is_first_used(package: Path):
    (package / "one.py").write_text("value = 7\n")
    one = LazyModule("lazily.one")

    before = "lazily.one" in sys.modules

    assert (before, one.value, "lazily.one" in sys.modules) == (False, 7, True)


def test_a_lazy_module_shows_a_name_that_was_replaced_later(package: Path, monkeypatch: pytest.MonkeyPatch):
    (package / "two.py").write_text("value = 7\n")
    two = LazyModule("lazily.two")
    assert two.value == 7

    monkeypatch.setattr("lazily.two.value", 8)

    assert two.value == 8


def test_a_lazy_module_that_fails_raises_its_own_error(package: Path):
    (package / "three.py").write_text("raise LookupError('of the module')\n")

    with pytest.raises(LookupError, match="of the module"):
        LazyModule("lazily.three").value  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        LazyModule("lazily.missing").value  # noqa: B018
    with pytest.raises(AttributeError):
        LazyModule("lazily").value  # noqa: B018


def end_after(statements: str, **streams: object) -> subprocess.CompletedProcess[str]:
    """Run statements in a Python that then ends with status 3 by ``startup.end``."""
    program = f"from gentoomuch_portage import startup\n{statements}\nstartup.end(3)\n"
    argv = [sys.executable, "-c", program]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(argv, **{"stdout": subprocess.PIPE, "encoding": "utf-8", "env": environment} | streams)


def test_the_end_runs_exit_functions_flushes_output_and_keeps_the_status():
    ended = end_after("import atexit\natexit.register(print, 'last', end='')\nprint('first', end=' ')")

    assert (ended.returncode, ended.stdout) == (3, "first last")


def test_the_end_waits_for_threads():
    statements = (
        "import threading\n"
        "def run():\n"
        "    threading.main_thread().join()\n"
        "    print('last')\n"
        "threading.Thread(target=run).start()\n"
        "print('first')"
    )

    ended = end_after(statements)

    assert (ended.returncode, ended.stdout) == (3, "first\nlast\n")


def test_the_end_reports_output_that_is_lost():
    with Path("/dev/full").open("w") as full:
        ended = end_after("print('first')", stdout=full, stderr=subprocess.PIPE)

    assert ended.returncode == 120
    assert "No space left on device" in ended.stderr


def test_the_end_does_not_delete_what_the_kernel_frees():
    statements = "class Slow:\n    def __del__(self):\n        print('deleted')\nslow = Slow()"

    ended = end_after(statements)

    assert (ended.returncode, ended.stdout) == (3, "")


def test_the_end_takes_a_stream_that_is_closed():
    ended = end_after("import sys\nsys.stdout.close()")

    assert ended.returncode == 3
