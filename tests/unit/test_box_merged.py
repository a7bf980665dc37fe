"""What was merged in a box is read without trust."""

import os
from pathlib import Path

from gentoomuch_portage.containers import artifacts


def _package(vdb: Path, cpv: str, number: str = "") -> Path:
    folder = vdb / cpv
    folder.mkdir(parents=True)
    (folder / "PF").write_text(f"{folder.name}\n")
    if number:
        (folder / "BUILD_ID").write_text(f"{number}\n")
    return folder


def test_packages_are_told_with_their_number(tmp_path: Path) -> None:
    _package(tmp_path, "b/two-2-r1", "12")
    _package(tmp_path, "a/one-1")
    assert artifacts.installed(tmp_path) == [("a/one-1", 0), ("b/two-2-r1", 12)]
    assert artifacts.installed(tmp_path / "missing") == artifacts.installed(None) == []


def test_neither_links_nor_pipes_nor_odd_names_are_read(tmp_path: Path) -> None:
    os.mkfifo(_package(tmp_path, "a/numbered-1") / "BUILD_ID")
    pipe = _package(tmp_path, "a/pipe-1") / "PF"
    pipe.unlink()
    os.mkfifo(pipe)
    endless = _package(tmp_path, "a/endless-1") / "PF"
    endless.unlink()
    endless.symlink_to("/dev/zero")
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (_package(tmp_path, "a/large-1") / "PF").write_text("large-1" + " " * artifacts.MOST)
    _package(tmp_path, "a/every*-1")
    assert artifacts.installed(tmp_path) == [("a/numbered-1", 0)]


def test_of_a_long_text_the_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "console").write_bytes(b"\xff" * 10000 + b"\nKernel panic\n")
    assert artifacts.text(tmp_path / "console", last=14) == "Kernel panic"
