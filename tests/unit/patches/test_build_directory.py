# SPDX-License-Identifier: GPL-2.0-or-later
"""S11: something else is in the place of the build directory of ``patch try``, which Portage cannot clean."""

import os
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.patches import build
from gentoomuch_portage.patches.worktree import PatchTree


@pytest.mark.parametrize("kind", ["file", "pipe", "directory", "link to a directory", "missing"])
def test_a_damaged_build_directory_is_removed_and_no_link_is_followed(tmp_path: Path, kind: str):
    """Portage printed a traceback and ended by SIGTERM for a file; for a link, the files behind it were in danger."""
    place = tmp_path / "tmp/portage/app-misc/hello-1"
    place.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    make = {
        "file": place.touch,
        "pipe": lambda: os.mkfifo(place),
        "directory": lambda: (place / "work").mkdir(parents=True),
        "link to a directory": lambda: place.symlink_to(tmp_path / "elsewhere"),
        "missing": lambda: None,
    }
    make[kind]()
    tree = PatchTree(
        tree=tmp_path, set="s", cpv="app-misc/hello-1", slot="0", repository="r", target="hello",
        base="", inside=".", patches=(),
    )  # fmt: skip

    build._remove_build_directory(tmp_path / "tmp", tree)

    assert not os.path.lexists(place)
    assert (tmp_path / "elsewhere/file").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root enters every directory")
def test_a_closed_directory_above_is_named_before_portage_runs(tmp_path: Path):
    """Portage printed a traceback and ended by SIGTERM."""
    category = tmp_path / "tmp/portage/app-misc"
    category.mkdir(parents=True)
    category.chmod(0)

    with raises("no-privilege", match=str(category)):
        build._check_place(category / "hello-1", tmp_path, "none")
    category.chmod(0o755)
    build._check_place(category / "hello-1", tmp_path, "none")
