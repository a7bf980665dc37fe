# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook that checks the subjects of commits."""

import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
GOOD = "profile: name the file of an unknown key"


def check(tmp_path: Path, text: str) -> int:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text(text)
    return subprocess.run([TOP / "tools/git-hooks/commit-msg", message], check=False, capture_output=True).returncode


@pytest.mark.parametrize(
    "text", [GOOD, f"{GOOD}\n\nThe reason, {'which may be as long as it likes ' * 9}", f"a: {'x' * 57}", "fixup! x"]
)
def test_a_subject_with_its_area_is_accepted(tmp_path: Path, text: str):
    assert check(tmp_path, text) == 0


@pytest.mark.parametrize("text", ["", "no area", "Area: upper case", f"a: {'x' * 58}", "a: with a full stop.", "a:x"])
def test_another_subject_is_rejected(tmp_path: Path, text: str):
    assert check(tmp_path, text) == 1


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_setup_installs_the_hook_and_keeps_an_existing_one(tmp_path: Path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copytree(TOP / "tools", tmp_path / "tools", symlinks=True)
    hook = tmp_path / ".git/hooks/commit-msg"

    subprocess.run([tmp_path / "tools/setup", "hook"], check=True)
    installed = hook.read_bytes()
    hook.unlink()
    hook.write_text("mine")
    subprocess.run([tmp_path / "tools/setup", "hook"], check=True)

    assert installed == (TOP / "tools/git-hooks/commit-msg").read_bytes()
    assert hook.read_text() == "mine"
