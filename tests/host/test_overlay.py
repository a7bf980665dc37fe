# SPDX-License-Identifier: GPL-2.0-or-later
"""Gentoo's own linter over every ebuild that ships with the project, and over this repository as an overlay."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import overlay as overlaying
from helpers.waiting import HANG

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host

NOT_OURS = "-MissingUri,-ArchesWithoutProfiles"
"""The sources of the embedded host are packed on the spot, and it has one make_profile: that of its machine."""


@pytest.fixture
def pkgcheck(tmp_path: Path) -> Callable[..., str]:
    """Run pkgcheck; what it found. pkgcore wants bash 5.3 for the sake of EAPI 9, which is not used here."""
    bash = overlaying.modern_bash(tmp_path / "bash")
    env = os.environ | {"PATH": f"{bash}:{os.environ['PATH']}"}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def run(*words: str, cwd: Path) -> str:
        argv = [Path(sys.executable).with_name("pkgcheck"), *words]
        ended = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=HANG)
        return f"{ended.stdout}{ended.stderr}" if ended.returncode == 0 else f"ended {ended.returncode}: {ended}"

    return run


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """This repository as an overlay of a ::gentoo; ``etc/portage`` is beside it."""
    overlaying.lay_gentoo(tmp_path / "gentoo", overlaying.gentoo())
    overlay = overlaying.lay_overlay(tmp_path / "gentoomuch")
    overlaying.configure(tmp_path / "etc/portage", tmp_path / "gentoo", overlay)
    return overlay


def test_pkgcheck_finds_nothing_in_the_embedded_repository(tmp_path: Path, pkgcheck):
    host: Host = demo_host.make(tmp_path / "host")

    words = ("--config", "no", "scan", "--config", "no", f"--keywords={NOT_OURS}", "--repo", str(host.repository))

    assert pkgcheck(*words, cwd=host.repository) == ""


def test_pkgcheck_finds_nothing_in_the_overlay(overlay: Path, pkgcheck):
    assert pkgcheck("--config", "../etc/portage", "scan", "--repo", "gentoomuch", cwd=overlay) == ""


def test_pkgcheck_finds_errors_in_the_overlay(overlay: Path, pkgcheck):
    ebuild = overlay / "app-portage/gentoomuch-portage/gentoomuch-portage-9999.ebuild"
    ebuild.write_text(ebuild.read_text().replace("dev-python/pluggy", "dev-python/plugy"))

    said = pkgcheck("--config", "../etc/portage", "scan", "--repo", "gentoomuch", cwd=overlay)

    assert "nonexistent package: >=dev-python/plugy-1.5" in said


def test_every_ebuild_is_for_the_same_pythons():
    ebuilds = [
        path for top in ("app-portage", "dev-python", ".gentoo") for path in (overlaying.TOP / top).rglob("*.ebuild")
    ]

    assert len(ebuilds) > 3
    assert {re.findall(r"^PYTHON_COMPAT=.*", path.read_text(), re.M)[0] for path in ebuilds} == {
        "PYTHON_COMPAT=( python3_{12..15} )"
    }


def test_use_flags_of_the_ebuild_match_the_extras_of_setup_py():
    ebuild = (overlaying.TOP / "app-portage/gentoomuch-portage/gentoomuch-portage-9999.ebuild").read_text()

    assert {name for names in overlaying.extras().values() for name in names} <= overlaying.named(ebuild)
    assert set(overlaying.extras()) <= set(ebuild.partition('IUSE="')[2].partition('"')[0].split())
