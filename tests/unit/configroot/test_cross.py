# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots for another machine that are filled from this one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gentoomuch_portage.configroot import cross
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter import config

ARM, HERE = "aarch64-unknown-linux-gnu", "x86_64-pc-linux-gnu"


def _plan(root: Path | str, chost: str = ARM, **more: str) -> Plan:
    return Plan(profile="p", base="none", root=str(root), abi=f"{chost} glibc", build_abi=f"{HERE} glibc", **more)


@pytest.mark.parametrize(("root", "chost", "target"), [("/arm", ARM, ARM), ("/router", HERE, ""), ("/", ARM, "")])
def test_a_plan_cross_compiles_if_its_root_has_another_chost(root: str, chost: str, target: str) -> None:
    assert cross.target(_plan(root, chost)) == target


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What Portage makes of the configroot of a plan."""
    values = {"CC": ""}
    monkeypatch.setattr(config, "load", lambda _configroot: SimpleNamespace(values=values))
    return values


def test_a_missing_cross_compiler_is_reported_with_the_crossdev_command(asked: dict[str, str]) -> None:
    error = cross.find_missing_compiler(_plan("/arm", "mips64-other-linux-gnu"))
    assert error is not None
    assert "mips64-other-linux-gnu-gcc is not on PATH" in error.message
    assert error.hint == "crossdev --stable --target mips64-other-linux-gnu"


def test_an_installed_cross_compiler_is_no_problem(asked: dict[str, str]) -> None:
    asked["CC"] = "sh --target=arm"
    assert cross.find_missing_compiler(_plan("/arm")) is None


def test_a_root_that_builds_for_itself_needs_no_compiler_of_the_hosts(asked: dict[str, str], tmp_path: Path) -> None:
    for name in ("python3", "emerge"):
        (tmp_path / "usr/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "usr/bin" / name).touch()
    chost = "mips64-other-linux-gnu"
    assert cross.find_missing_compiler(_plan(tmp_path, chost, isolation="unshare")) is None
    assert cross.find_missing_compiler(_plan(tmp_path, chost, isolation="none")) is not None
