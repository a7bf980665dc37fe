# SPDX-License-Identifier: GPL-2.0-or-later
"""What people install is whole: the sdist, and the wheel that is built from it."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")


def built(kind: str, sources: Path, into: Path) -> Path:
    """Build an ``sdist`` or a ``wheel``; its path."""
    argv = [sys.executable, "-c", BUILD, f"build_{kind}", into]
    ended = subprocess.run(argv, cwd=sources, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return into / ended.stdout.split()[-1]


def ours(folder: Path) -> set[str]:
    """The files of the package in a copy of the project."""
    return {str(path.relative_to(folder)) for path in (folder / "gentoomuch_portage").rglob("*") if path.is_file()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as a clone has it."""
    return Path(shutil.copytree(TOP, tmp_path / "copy", ignore=LEFT_BEHIND))


def test_the_wheel_of_the_sdist_has_every_file_of_the_package(copy: Path, tmp_path: Path):
    before = ours(copy)

    subprocess.run(["tar", "--extract", "--file", built("sdist", copy, tmp_path)], cwd=tmp_path, check=True)
    [sources] = tmp_path.glob("gentoomuch*-*/")
    with zipfile.ZipFile(built("wheel", sources, tmp_path)) as wheel:
        shipped = set(wheel.namelist())

    assert "gentoomuch_portage/demo_host/sources/gm-hello-1.0/hello.c" in before
    assert before - shipped == set()


def test_the_sdist_has_all_files_of_make_test(copy: Path, tmp_path: Path):
    with tarfile.open(built("sdist", copy, tmp_path)) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}

    needed = {
        "Makefile",
        "tools/setup",
        "requirements/run.txt",
        "requirements/test.txt",
        "tests/conftest.py",
        "LICENSE",
    }
    assert needed <= names
