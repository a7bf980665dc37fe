# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder that a run builds in, below PORTAGE_TMPDIR."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.plan.plan import Plan


def plan(above: Path) -> Plan:
    return Plan(
        profile="vm",
        base="host",
        root="/",
        env={"PORTAGE_TMPDIR": build_dir.choose_folder(str(above), "vm", above / "cache")},
    )


def test_a_run_builds_in_a_directory_of_its_profile(tmp_path: Path):
    build_dir.make(plan(tmp_path))

    assert [path.name for path in tmp_path.rglob("*")] == [f"gentoomuch-{os.geteuid()}", "vm"]


def test_a_portage_tmpdir_that_is_not_mounted_is_not_made_and_left_to_emerge(tmp_path: Path):
    told = plan(tmp_path / "tmpfs")

    build_dir.make(told)

    assert told.env["PORTAGE_TMPDIR"] == str(tmp_path / "tmpfs")
    assert not (tmp_path / "tmpfs").exists()


def test_a_container_requires_portage_tmpdir(tmp_path: Path):
    with raises("no-build-folder", match="tmpfs"):
        build_dir.check_exists(tmp_path / "tmpfs")


def test_no_build_directory_is_created_without_write_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, _how: False)

    build_dir.make(plan(tmp_path))

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("squat", ["directory of another user", "link", "file", "directory that all may write to"])
def test_a_build_directory_of_another_user_does_not_block_a_run(
    tmp_path: Path, squat: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """S17: on dfeccc0 every run ended with "is not a folder of ours"."""
    name = tmp_path / f"gentoomuch-{os.geteuid()}"
    if squat == "directory of another user":
        if os.geteuid():
            pytest.skip("only root gives a directory away")
        name.mkdir()
        os.chown(name, 65534, 65534)
    elif squat == "link":
        (tmp_path / "elsewhere").mkdir()
        name.symlink_to(tmp_path / "elsewhere")
    elif squat == "file":
        name.touch()
    else:
        name.mkdir()
        name.chmod(0o777)
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("PORTAGE_TMPDIR", str(tmp_path))

    made = plan(tmp_path)
    build_dir.make(made)

    folder = Path(made.env["PORTAGE_TMPDIR"])
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path / "cache")
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o022) == (os.geteuid(), 0)
    assert f"ls -ld {name}" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_read_only_portage_tmpdir_is_reported_as_such(tmp_path: Path):
    """S13: it was reported as a directory of somebody else, to be removed."""
    tmpdir, cache = tmp_path / "tmp", tmp_path / "cache"
    script = f"""
import os
from pathlib import Path
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.plan.plan import Plan
tmpdir = build_dir.choose_folder({str(tmpdir)!r}, "vm", Path({str(cache)!r}))
build_dir.make(Plan(profile="vm", base="host", root="/", env={{"PORTAGE_TMPDIR": tmpdir}}))
"""
    (tmpdir / f"gentoomuch-{os.geteuid()}").mkdir(parents=True)
    cache.mkdir()
    mount = f"mount --bind {tmpdir} {tmpdir} && mount -o remount,bind,ro {tmpdir}"
    argv = ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", script]

    env = {**os.environ, "PORTAGE_TMPDIR": str(tmpdir)}
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert f"cannot write {tmpdir}/gentoomuch-{os.geteuid()}: read-only file system" in ended.stderr
    assert f"mount -o remount,rw {tmpdir}" in ended.stderr
    assert f"ls -ld {tmpdir}" not in ended.stderr
    assert (cache / "fallback-tmpdir/vm").is_dir()


def test_a_directory_of_our_own_is_built_in_again(tmp_path: Path):
    for _ in range(2):
        build_dir.make(plan(tmp_path))
    assert Path(plan(tmp_path).env["PORTAGE_TMPDIR"]) == tmp_path / f"gentoomuch-{os.geteuid()}/vm"
