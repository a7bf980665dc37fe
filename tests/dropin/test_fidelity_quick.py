# SPDX-License-Identifier: GPL-2.0-or-later
"""A subset of Portage's own emerge tests, with gm-emerge in the place of emerge; all of them: tox -e fidelity."""

import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[1] / "fidelity/run.py"


def test_no_fewer_of_portages_own_tests_pass_with_gm_emerge(request, tree):
    kept = request.config.cache.mkdir("portage-sdist")

    ended = subprocess.run(
        [sys.executable, RUN, "--quick", "--sdist", kept], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "\n0 fewer pass; gm-emerge stood in for emerge 1" in ended.stdout
