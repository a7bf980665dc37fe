# SPDX-License-Identifier: GPL-2.0-or-later
"""Directories of configuration files, read by us and by Portage."""

from pathlib import Path

import pytest
from portage.util import grablines

from gentoomuch_portage.portage_adapter.config_files import file_list


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with all kinds of names that Portage skips or sorts in a special way; each file has a line."""
    for name in (
        "b/x",
        "b/.hidden",
        "b/backup~",
        "a",
        "b.c",
        "CVS/x",
        ".git/x",
        "e/CVS",
        "c/d/e",
        "c-d",
        "C",
        "old~/x",
    ):
        file = tmp_path / "top" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("line\n")
    (tmp_path / "top/link").symlink_to("a")
    (tmp_path / "top/folder").symlink_to("c")
    (tmp_path / "top/nowhere").symlink_to("none")
    (tmp_path / "top/empty").mkdir()
    return tmp_path / "top"


@pytest.mark.parametrize("name", ["", "a", "b", "b/.hidden", "b/backup~", "CVS", ".git", "nowhere", "none", "link"])
def test_files_are_those_that_portage_reads_in_its_order(name: str, folder: Path):
    lines = grablines(str(folder / name), recursive=1, remember_source_file=True)

    assert file_list(folder / name) == [Path(file) for _, file in lines]


def test_directories_are_sorted_together_with_files(folder: Path):
    assert [str(file.relative_to(folder)) for file in file_list(folder)] == [
        "C", "a", "b/x", "b.c", "c/d/e", "c-d", "e/CVS", "folder/d/e", "link",
    ]  # fmt: skip
