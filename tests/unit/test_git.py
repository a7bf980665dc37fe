# SPDX-License-Identifier: GPL-2.0-or-later
"""S11, S13: an error of git in one of our work trees names the tree, or what it could not write, and a hint."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import git
from gentoomuch_portage.errors import ProgramFailed, explain_failure


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "work tree"
    tree.mkdir()
    (tree / "file").write_text("text\n")
    git.init_repository(tree, "first")
    return tree


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [Path.unlink, _directory, _fifo])
def test_an_index_that_cannot_be_read_is_an_error_with_its_path(tree: Path, damage: Callable[[Path], None]):
    """It was ``[system]`` for a directory, and no end for a pipe."""
    damage(tree / ".git/index")

    with raises("bad-file", match="/.git/index: ") as caught:
        git.write_tree(tree)
    assert str(tree) in caught.value.hint


def test_a_damaged_object_is_an_error_whose_hint_names_the_work_tree(tree: Path):
    """It had no hint, and named no directory."""
    for path in (tree / ".git/objects").glob("*/*"):
        path.chmod(0o644)
        path.write_bytes(b"garbage")

    with raises("program-failed") as caught:
        git.run_git(tree, "log")
    assert f"rm -r '{tree}'" in caught.value.hint


def test_git_reports_in_english_whatever_the_user_set(tree: Path, monkeypatch: pytest.MonkeyPatch):
    """Its reasons are searched for those of the system."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")

    values = git.run_git(tree, "-c", "alias.show-env=!env", "show-env").out.splitlines()

    assert "LC_ALL=C.UTF-8" in values
    assert not [value for value in values if value.startswith("LANGUAGE=")]


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "read-only")]
)
def test_a_program_that_has_no_room_is_the_error_of_its_directory(tmp_path: Path, number: int, code: str):
    failed = ProgramFailed(["git"], 128, f"error: {os.strerror(number)}\nfatal: failed")

    error = explain_failure(failed, tmp_path, "hint")

    assert error.code == code
    assert str(tmp_path) in error.message
