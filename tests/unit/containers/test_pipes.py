# SPDX-License-Identifier: GPL-2.0-or-later
"""S11: a named pipe in the place of a directory that is removed; shutil.rmtree waits for a pipe without end."""

import os
from pathlib import Path

import pytest

from gentoomuch_portage.containers import composed, lifecycle
from gentoomuch_portage.patches import save


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "above/pipe"
    path.parent.mkdir()
    os.mkfifo(path)
    return path


def test_a_pipe_in_the_place_of_a_directory_of_builds_is_removed(pipe: Path):
    assert lifecycle.remove_trees([pipe])
    assert not os.path.lexists(pipe)


def test_a_pipe_among_copies_of_files_of_the_host_is_removed_when_it_is_old(pipe: Path):
    os.utime(pipe, (0, 0))

    composed._collect(pipe.parent)

    assert not os.path.lexists(pipe)


def test_a_pipe_is_replaced_by_an_empty_directory_for_patches(pipe: Path):
    save.make_empty(pipe)

    assert [*pipe.iterdir()] == []
