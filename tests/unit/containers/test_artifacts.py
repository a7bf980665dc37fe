# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that were merged in a container are read as untrusted input."""

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


def test_installed_packages_have_their_build_ids(tmp_path: Path) -> None:
    _package(tmp_path, "b/two-2-r1", "12")
    _package(tmp_path, "a/one-1")
    assert artifacts.read_installed(tmp_path) == [("a/one-1", 0), ("b/two-2-r1", 12)]
    assert artifacts.read_installed(tmp_path / "missing") == artifacts.read_installed(None) == []


def test_links_pipes_and_invalid_names_in_the_vdb_are_ignored(tmp_path: Path) -> None:
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
    assert artifacts.read_installed(tmp_path) == [("a/numbered-1", 0)]


def test_read_text_returns_the_end_of_a_long_file(tmp_path: Path) -> None:
    (tmp_path / "console").write_bytes(b"\xff" * 10000 + b"\nKernel panic\n")
    assert artifacts.read_text(tmp_path / "console", last=14) == "Kernel panic"
