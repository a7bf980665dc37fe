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
