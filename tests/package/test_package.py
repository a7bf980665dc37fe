# SPDX-License-Identifier: GPL-2.0-or-later
"""What is handed out has no blemish: sdist, wheel and man pages, by those who judge them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGES = sorted((TOP / "share/man").rglob("*.[1-9]"))
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "site")


def said(*words: str | Path, cwd: Path = TOP) -> str:
    """What a program says, which has to end well."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of an sdist and of the wheel that is made of it, and what was said meanwhile."""
    copy = Path(shutil.copytree(TOP, tmp_path_factory.mktemp("package") / "copy", ignore=LEFT_BEHIND))
    return copy / "dist", said(sys.executable, "-m", "build", "--no-isolation", cwd=copy)


def test_nothing_is_warned_of_while_it_is_built(built: tuple[Path, str]):
    # setuptools says this of each pattern that finds nothing, as is right in a tree without byte code.
    told = re.sub(r"^warning: no previously-included files matching .*\n", "", built[1], flags=re.M)

    assert "\n".join(line for line in told.splitlines() if re.search("warn|deprecat", line, re.I)) == ""


def test_an_index_would_take_it(built: tuple[Path, str]):
    folder, _ = built

    told = said(sys.executable, "-m", "twine", "check", "--strict", *folder.iterdir())

    assert told.count("PASSED") == 2


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_warns_of_nothing(page: Path):
    assert said("groff", "-ww", "-z", "-Tutf8", "-man", page) == ""


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_warns_of_nothing(page: Path):
    assert said("mandoc", "-T", "lint", "-W", "warning", page) == ""


def test_each_command_has_a_man_page():
    assert {page.name for page in PAGES} >= {"gentoomuch.1", "gm-emerge.1"}
