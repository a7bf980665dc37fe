# SPDX-License-Identifier: GPL-2.0-or-later
"""A real crash, avoided: a program built for a newer CPU, under a CPU that lacks its instructions."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

QEMU = shutil.which("qemu-x86_64")

pytestmark = pytest.mark.skipif(not QEMU, reason="qemu-x86_64 is not installed (qemu-user)")

SUM = "97920"
"""What the program prints."""


def nehalem(program: Path) -> tuple[int, str]:
    """The status and the output of a program on a CPU without AVX; 128 and more where a signal ended it."""
    argv = [str(QEMU), "-cpu", "Nehalem", str(program)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=HANG)
    return (128 - ended.returncode if ended.returncode < 0 else ended.returncode), ended.stdout.strip()


@pytest.fixture
def offered(host: Host, on, loops) -> Host:
    """A static program, built for x86-64-v3, as a binary package."""
    loops("loops", flags="-static")
    host.profile("new", 'cpu = "x86-64-v3"\n')
    ended = on("gm-emerge", "--gm-profile=new", "-q", "--buildpkgonly", "loops")
    assert ended.status == 0, ended.err
    return host


def test_plain_emerge_merges_a_program_that_gets_sigill(offered: Host, on, tmp_path):
    root = tmp_path / "root"

    ended = on("emerge", "-qK", "loops", ROOT=str(root))

    assert ended.status == 0, ended.err
    assert nehalem(offered.eroot(root) / "usr/bin/loops")[0] == 128 + signal.SIGILL


def test_the_profile_of_that_cpu_merges_a_program_that_runs(offered: Host, on, tmp_path):
    root = tmp_path / "root"
    offered.profile("router", f'cpu = "nehalem"\nroot = "{root}"\n')

    refused = on("gm-emerge", "--gm-profile=router", "-qK", "loops")
    ended = on("gm-emerge", "--gm-profile=router", "-k", "loops")

    assert refused.status == 1
    assert ended.status == 0, ended.err
    assert "=app-demo/loops-1.0-1 for" in ended.out + ended.err
    assert "needs avx2" in ended.out + ended.err
    assert nehalem(offered.eroot(root) / "usr/bin/loops") == (0, SUM)
