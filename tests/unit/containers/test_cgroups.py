# SPDX-License-Identifier: GPL-2.0-or-later
"""The cgroups of a run are removed with it, and those of others never."""

from pathlib import Path

import pytest

from gentoomuch_portage.containers import cgroups


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of mounts with two hierarchies of cgroups, and with another file system."""
    lines = []
    for number, name in enumerate(("cgroup", "cgroup2", "ext4")):
        for folder in ("gentoomuch-run-a/libpod-1", "gentoomuch-run-b/libpod-2", "libpod_parent/libpod-3"):
            (tmp_path / name / folder).mkdir(parents=True)
        lines.append(f"{number} 1 0:{number} / {tmp_path / name} rw,relatime - {name} {name} rw\n")
    file = tmp_path / "mountinfo"
    file.write_text("".join(lines))
    return file


def test_only_the_cgroups_of_a_run_are_removed(table: Path) -> None:
    assert cgroups.remove(Path("/cache/containers/run-a"), str(table))

    for name in ("cgroup", "cgroup2"):
        left = sorted(folder.name for folder in (table.parent / name).iterdir())
        assert left == ["gentoomuch-run-b", "libpod_parent"]
    assert (table.parent / "ext4/gentoomuch-run-a/libpod-1").is_dir()


def test_a_cgroup_in_use_is_not_removed_and_reported(table: Path) -> None:
    (table.parent / "cgroup2/gentoomuch-run-a/libpod-1/cgroup.procs").touch()

    assert not cgroups.remove(Path("/cache/containers/run-a"), str(table))


def test_a_run_without_cgroups_has_none_left(table: Path) -> None:
    assert cgroups.remove(Path("/cache/containers/run-c"), str(table))


def test_cgroups_that_a_run_joined_are_found_again_from_anywhere(tmp_path: Path) -> None:
    lines = []
    for name, kind, root, options in (
        ("systemd", "cgroup", "/", "rw,name=systemd"),
        ("memory", "cgroup", "/", "rw,memory"),
        ("unified", "cgroup2", "/outside", "rw"),
    ):
        (tmp_path / name / "user/session").mkdir(parents=True)
        lines.append(f"1 1 0:1 {root} {tmp_path / name} rw - {kind} {name} {options}\n")
    table, own, run = tmp_path / "mountinfo", tmp_path / "own", tmp_path / "run-a"
    table.write_text("".join(lines))
    own.write_text("2:memory:/user/session\n1:name=systemd:/user/session\n0::/outside/user/session\n")
    run.mkdir()

    cgroups.join(run, str(table), str(own))

    for file in tmp_path.rglob("cgroup.procs"):
        file.unlink()
    cgroups.join(run, str(table), str(own))  # the second container of the run

    joined = {path.parent for path in tmp_path.rglob("cgroup.procs")}
    assert joined == {tmp_path / name / "user/session/gentoomuch-run-a" for name in ("systemd", "unified")}
    for folder in joined:
        (folder / "cgroup.procs").unlink()  # the kernel's
        (folder / "payload").mkdir()
    assert cgroups.remove(run, str(table))
    assert list(tmp_path.rglob("gentoomuch-*")) == []
    assert (tmp_path / "unified/user/session").is_dir()


def test_a_record_names_no_cgroup_of_others(table: Path) -> None:
    run = table.parent / "run-a"
    run.mkdir()
    other = table.parent / "ext4/libpod_parent/libpod-3"
    (run / "cgroups").write_text(f"{other}\n")

    assert cgroups.remove(run, str(table))

    assert other.is_dir()
