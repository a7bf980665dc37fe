# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that a user names, which may be none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gentoomuch_portage import fs
from gentoomuch_portage.errors import NoPrivilege


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe with a name, and the descriptor of its reader."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield tmp_path / "pipe", reader
    os.close(reader)


def test_output_to_a_named_pipe_is_written_through(pipe: tuple[Path, int], tmp_path: Path):
    (tmp_path / "link").symlink_to("pipe")

    fs.send(pipe[0], "one ")
    fs.send(tmp_path / "link", b"two")

    assert os.read(pipe[1], 100) == b"one two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]
    assert (tmp_path / "link").is_symlink()


def test_a_link_to_an_open_file_is_written_through(tmp_path: Path):
    with (tmp_path / "out").open("wb") as out:
        (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{out.fileno()}")
        fs.send(tmp_path / "stdout", "told")
        out.write(b"more")

    assert (tmp_path / "stdout").is_symlink()
    assert (tmp_path / "out").stat().st_size > 0


def test_a_regular_output_file_is_replaced_atomically(tmp_path: Path):
    (tmp_path / "a").write_text("old")
    os.link(tmp_path / "a", tmp_path / "b")

    fs.send(tmp_path / "a", "new")

    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("new", "old")


def test_a_circle_of_links_is_replaced_by_a_file(tmp_path: Path):
    (tmp_path / "a").symlink_to("a")

    fs.send(tmp_path / "a", "x")

    assert (tmp_path / "a").read_text() == "x"


def test_a_directory_as_output_file_is_an_error(tmp_path: Path):
    with pytest.raises(NoPrivilege, match="is a directory"):
        fs.send(tmp_path, "x")


def test_a_missing_parent_of_an_output_file_is_not_created(tmp_path: Path):
    with pytest.raises(NoPrivilege, match="no such file or directory"):
        fs.send(tmp_path / "typo/file", "x")

    assert not [*tmp_path.iterdir()]


def test_a_dash_is_the_standard_output_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
):
    monkeypatch.chdir(tmp_path)

    fs.send(Path("-"), b"\xfftold")

    assert capfdbinary.readouterr().out == b"\xfftold"
    assert not list(tmp_path.iterdir())
