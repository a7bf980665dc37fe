# SPDX-License-Identifier: GPL-2.0-or-later
"""The runner of Portage's own tests: one test that ends its process is named, and the others are counted."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("xdist", reason="pytest-xdist is not installed")

RUN = Path(__file__).parents[1] / "fidelity/run.py"
TESTS = """
import os, signal

def test_before(): pass
def test_sends_itself_sigterm(): os.kill(os.getpid(), signal.SIGTERM)
def test_after(): pass
def test_tmpdir_is_not_the_hosts(): assert os.environ["PORTAGE_TMPDIR"].startswith(os.environ["HOME"])
"""


@pytest.fixture
def runner() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("fidelity_run", RUN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_test_that_ends_its_process_fails_by_name_and_ends_no_other(runner: ModuleType, tmp_path: Path):
    tree = tmp_path / "way/portage"
    for name in runner.ALL:
        file = tree / name
        file = file if file.suffix else file / "test_some.py"
        file.parent.mkdir(parents=True)
        file.write_text(TESTS if file.name == "test_some.py" else "def test_other(): pass\n")
    (tree / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")

    process = runner.start(tmp_path / "way", tree, (), quick=False)
    counted = runner.count(tmp_path / "way", process)

    assert [name.rpartition("::")[2] for name in counted.failed] == ["test_sends_itself_sigterm"]
    passed = {name.rpartition("::")[2] for name in counted.passed}
    assert passed == {"test_before", "test_after", "test_other", "test_tmpdir_is_not_the_hosts"}
