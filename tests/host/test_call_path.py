# SPDX-License-Identifier: GPL-2.0-or-later
"""How many files of ours a reader has to open to follow a run."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

TRACE = Path(__file__).parents[2] / "tools/house"
MOST = 60


def count_files(host: Host, profile: str) -> int:
    """Count the files whose functions run in a pretended run for a profile, once its caches are filled."""
    argv = [sys.executable, str(TRACE), "--trace", "gm-emerge", f"--gm-profile={profile}", "-p", "gm-hello"]
    time.sleep(3)  # a cache does not trust what changed in the last two seconds
    subprocess.run(argv, env=host.env(), timeout=HANG, check=True, capture_output=True)

    traced = subprocess.run(argv, env=host.env(), timeout=HANG, check=True, capture_output=True, text=True)

    assert "gm-hello" in traced.stdout
    [count] = re.findall(r"^(\d+) files, \d+ calls", traced.stderr, re.M)
    return int(count)


@pytest.mark.parametrize("cpu", ["native", "x86-64", ""])
def test_a_pretended_run_for_a_profile_runs_functions_of_at_most_60_files(host: Host, cpu: str):
    """It ran those of 100: binhosts and the index by name were prepared for runs that use neither."""
    host.profile("laptop", f'cpu = "{cpu}"\n' if cpu else "")

    assert 30 < count_files(host, "laptop") <= MOST


@pytest.mark.slow
def test_a_run_that_chooses_among_binary_packages_runs_functions_of_at_most_60_files(on, tmp_path: Path):
    """It ran those of 68: what the CPU provides was computed anew from tables and compilers in each run."""
    built = on("gentoomuch", "demo", tmp_path / "demo", "--quiet")
    assert built.status == 0, built.err
    demo = Host(tmp_path / "demo")
    assert len(list(demo.pkgdir.rglob("*.gpkg.tar"))) == 4

    counts = {name: count_files(demo, name) for name in ("laptop", "router")}

    assert all(40 < count <= MOST for count in counts.values()), counts
