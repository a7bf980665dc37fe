"""A user's own files of package.*, read to be adopted."""

from pathlib import Path

import pytest

from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.reports import unmask_adopt


def test_a_folder_is_read_as_portage_reads_it_file_by_file(tmp_path: Path):
    folder = tmp_path / "package.accept_keywords"
    for name, text in {"b": "# mine\n=a/b-1 ~x86\n", "a/deep": "a/c **\n", ".swp": "a/no\n", "b~": "a/no\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    found = [(str(file.relative_to(folder)), line, one.line, one.kind) for file, line, one in unmask_adopt.read(folder)]

    assert found == [("a/deep", 1, "a/c **", "keywords"), ("b", 2, "=a/b-1 ~x86", "keywords")]


def test_a_file_that_is_not_there_is_told_as_such(tmp_path: Path):
    with pytest.raises(BadFile, match="there is no such file"):
        list(unmask_adopt.read(tmp_path / "pakage.use"))
