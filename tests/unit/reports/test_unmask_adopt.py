# SPDX-License-Identifier: GPL-2.0-or-later
"""A user's own files of package.*, read to be adopted."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.reports import unmask_adopt


def test_a_directory_of_files_is_read_as_by_portage(tmp_path: Path):
    folder = tmp_path / "package.accept_keywords"
    for name, text in {"b": "# mine\n=a/b-1 ~x86\n", "a/deep": "a/c **\n", ".swp": "a/no\n", "b~": "a/no\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    found = [
        (str(file.relative_to(folder)), line, one.line, one.kind)
        for file, line, one in unmask_adopt.parse_entries(folder)
    ]

    assert found == [("a/deep", 1, "a/c **", "keywords"), ("b", 2, "=a/b-1 ~x86", "keywords")]


def test_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(BadFile, match="file not found"):
        list(unmask_adopt.parse_entries(tmp_path / "pakage.use"))
