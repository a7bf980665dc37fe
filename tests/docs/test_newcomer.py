# SPDX-License-Identifier: GPL-2.0-or-later
"""A newcomer's walk: a clone, the README, and nothing else that this checkout or its user has."""

import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import snippets

pytestmark = pytest.mark.skipif(
    not shutil.which("bwrap") or subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], check=False).returncode != 0,
    reason="bwrap is not installed, or may make no container here",
)
SYSTEM = ("/usr", "/etc", "/opt", "/run")
"""What a machine brings along; the home, /tmp, /var and every other folder are new."""


@pytest.fixture
def machine(tmp_path: Path) -> tuple[list[str], Path]:
    """A container of this machine's programs and of a home with a clone; how to run something in it, and that home."""
    home = tmp_path / "home"
    subprocess.run(["git", "clone", "--quiet", snippets.TOP, home / "gentoomuch-portage"], check=True)
    words = ["bwrap", "--die-with-parent", "--unshare-pid", "--dev", "/dev", "--proc", "/proc"]
    for folder in SYSTEM:
        words += ["--ro-bind-try", folder, folder]
    for link in ("bin", "sbin", "lib", "lib64"):
        words += ["--symlink", f"usr/{link}", f"/{link}"]
    words += ["--tmpfs", "/tmp", "--tmpfs", "/var", "--bind", str(home), "/home/reader"]
    words += ["--setenv", "HOME", "/home/reader", "--setenv", "PATH", "/usr/sbin:/usr/bin"]
    return [*words, "--chdir", "/home/reader/gentoomuch-portage"], home


def test_commands_of_the_readme_patch_a_program_on_two_machines(machine: tuple[list[str], Path]):
    within, home = machine
    clone = home / "gentoomuch-portage"

    faults = [*snippets.walked(clone / "README.md", "", within, home / "log")]

    assert faults == []
    programs = [*clone.glob(".demo/roots/*/**/usr/bin/gm-hello")]
    assert len([path for path in programs if b"with love" in path.read_bytes()]) == 2
