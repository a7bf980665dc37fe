# SPDX-License-Identifier: GPL-2.0-or-later
"""What continuous integration runs: everything, whatever fails, and the sum of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.waiting import HANG

RUN = Path(__file__).parents[2] / ".ci/run"
SAID = {
    "docs": "53 passed in 0.64s",
    "package": "\033[31m==== \033[1m1 failed\033[0m, 6 passed, 2 skipped, 1 error in 3.64s ====",
    "slow": "======= 41 passed, 3 warnings in 594.32s (0:09:54) =======",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with .ci/run, where make, tox and dpkg say what they are told to."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(RUN, tmp_path / ".ci")
    said = "".join(f"{name}) printf '%s\\n' '{line}' ;;\n" for name, line in SAID.items())
    for name, body in {
        "bin/make": "echo '==== 900 passed, 4 skipped in 580.00s (0:09:40) ===='",
        "bin/dpkg-query": "echo 'ii '",
        "bin/apt-get": "exit 100",
        ".venv/bin/python": f'case $5 in\n{said}esac\ntest "$5" != package -a "$5" != pages',
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
    return tmp_path


def test_all_of_it_is_run_though_some_fails_and_the_last_line_is_the_sum(tree: Path):
    env = {**os.environ, "PATH": f"{tree / 'bin'}:{os.environ['PATH']}"}

    ended = subprocess.run([tree / ".ci/run"], env=env, capture_output=True, text=True, check=False, timeout=HANG)

    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "1000 passed, 3 failed, 6 skipped"
    assert [line.split()[:2] for line in ended.stdout.splitlines()[-11:-1]] == [
        ["test", "ok"], ["docs", "ok"], ["package", "failed"], ["overlay", "ok"], ["pages", "failed"],
        ["snippets", "ok"], ["newcomer", "ok"], ["installed", "ok"], ["slow", "ok"], ["attacks", "ok"],
    ]  # fmt: skip
