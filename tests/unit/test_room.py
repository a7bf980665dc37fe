"""The folder that a run builds in, below PORTAGE_TMPDIR."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.plan.plan import Plan


def plan(above: Path) -> Plan:
    return Plan(profile="vm", base="host", root="/", env={"PORTAGE_TMPDIR": build_dir.folder(str(above), "vm")})


def test_a_run_builds_in_a_folder_of_its_profile(tmp_path: Path):
    build_dir.make(plan(tmp_path))

    assert [path.name for path in tmp_path.rglob("*")] == [f"gentoomuch-{os.geteuid()}", "vm"]


def test_a_portage_tmpdir_that_is_not_mounted_is_not_made_and_left_to_emerge(tmp_path: Path):
    told = plan(tmp_path / "tmpfs")

    build_dir.make(told)

    assert told.env["PORTAGE_TMPDIR"] == str(tmp_path / "tmpfs")
    assert not (tmp_path / "tmpfs").exists()


def test_a_box_is_refused_where_portage_tmpdir_is_not_there(tmp_path: Path):
    with pytest.raises(build_dir.NoBuildFolder, match="tmpfs"):
        build_dir.needed(plan(tmp_path / "tmpfs"))


def test_where_nothing_may_be_written_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, _how: False)

    build_dir.make(plan(tmp_path))

    assert not list(tmp_path.iterdir())
