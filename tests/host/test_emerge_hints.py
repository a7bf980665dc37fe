# SPDX-License-Identifier: GPL-2.0-or-later
"""emerge fails on an argument that is meant for gm-emerge: a hint follows its own message."""

from pathlib import Path

import pytest
from conftest import Run


@pytest.mark.slow
def test_a_failed_emerge_is_followed_by_a_hint_and_a_good_one_is_not(on: Run, tmp_path: Path) -> None:
    """emerge called ``--profile=router`` an unrecognized argument, and ``.`` an invalid atom; no more was printed."""
    option = on("gm-emerge", "--profile=router", "-p", "gm-hello")
    project = on("gm-emerge", "-p", ".", cwd=tmp_path)
    good = on("gm-emerge", "-pq", "gm-hello")

    assert option.status == 2
    assert "hint: gm-emerge --gm-profile=router -p gm-hello" in option.err + option.out
    assert project.status == 1
    assert "hint: gentoomuch dotgentoo init app-misc/" in project.err + project.out
    assert (good.status, "hint" in good.err + good.out) == (0, False)
