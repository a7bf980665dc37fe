"""Gentoo's own linter over every ebuild that ships with the project."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage.embedded import Host

OLDEST = (5, 3)
"""pkgcore refuses to be imported where bash is older than EAPI 9 wants."""
NOT_OURS = "-MissingUri,-ArchesWithoutProfiles"
"""The sources are packed on the spot, and a host has one make_profile: that of its machine."""


def test_pkgcheck_finds_nothing_in_the_embedded_repository(host: Host, monkeypatch: pytest.MonkeyPatch):
    said = subprocess.run(["bash", "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(map(int, re.findall(r"version (\d+)\.(\d+)", said)[0]))
    if version < OLDEST:
        pytest.skip(f"pkgcheck needs bash {OLDEST[0]}.{OLDEST[1]}, this is {version[0]}.{version[1]}")
    caches = {"XDG_CACHE_HOME": str(host.folder / "cache"), "XDG_CONFIG_HOME": str(host.folder / "config")}
    argv = [Path(sys.executable).with_name("pkgcheck"), "scan", "--config", "no", "-k", NOT_OURS, "--repo", "."]

    ended = subprocess.run(
        argv, cwd=host.repository, env=os.environ | caches, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "")
