# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of a stranger: refused with a limit, and nothing outside of them is opened."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.dotgentoo import AT, written
from helpers.errors import raises

from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.dotgentoo import safe_read
from gentoomuch_portage.dotgentoo.load import load_folder


@pytest.mark.parametrize(
    "name", ["package.use/u", "package.use", "overlays", "app-misc", "app-misc/hello", AT, "env/e"]
)
def test_a_link_is_rejected_with_any_target(name: str, tmp_path: Path):
    folder = written(tmp_path / "a", {"package.mask": "a/b\n"})
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.exists():
        link.rename(tmp_path / "moved")
    link.symlink_to(tmp_path / "moved" if (tmp_path / "moved").exists() else "/etc")

    with raises("bad-dotgentoo", match="link"):
        load_folder(folder)


def test_the_hint_for_an_unreadable_directory_is_to_make_it_readable(tmp_path: Path, monkeypatch):
    def shut(path: str, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    folder = written(tmp_path)
    monkeypatch.setattr(os, "open", shut)  # root may open any

    with raises("bad-dotgentoo", match="permission denied") as caught:
        load_folder(folder)

    assert caught.value.hint == "make it readable"


def test_a_linked_dotgentoo_directory_is_rejected(tmp_path: Path, capsys):
    written(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/.gentoo").symlink_to(tmp_path / "a/.gentoo")

    assert run_command_line(["dotgentoo", "id", str(tmp_path / "b")]) == 78
    assert "[bad-dotgentoo]" in capsys.readouterr().err


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may be 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    if os.geteuid():
        pytest.skip("a device needs root")
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero, which never ends
    except PermissionError:
        pytest.skip("no devices here")


@pytest.mark.parametrize("make", [_fifo, _socket, _device])
@pytest.mark.parametrize("name", ["package.use", "overlays/o", AT])
def test_a_special_file_is_rejected_unread(make: Callable[[Path], None], name: str, tmp_path: Path):
    folder = written(tmp_path)
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    make(folder / name)

    with raises("bad-dotgentoo", match="neither a regular file nor a directory"):
        load_folder(folder)


def test_a_file_of_a_gibibyte_is_rejected_by_its_size(tmp_path: Path):
    folder = written(tmp_path, {"package.use": ""})
    os.truncate(folder / "package.use", 2**30)

    with raises("bad-dotgentoo", match="at most 1024 KiB"):
        load_folder(folder)


def test_files_above_the_total_limit_are_rejected(tmp_path: Path):
    files: dict[str, str | bytes] = {f"app-misc/hello/files/{n}": b"x" * safe_read.MAX_FILE_SIZE for n in range(9)}

    with raises("bad-dotgentoo", match="at most 8 MiB"):
        load_folder(written(tmp_path, files))


def test_thousands_of_files_are_rejected(tmp_path: Path):
    folder = written(tmp_path, {"package.use/x": ""})
    for number in range(safe_read.MAX_ENTRIES):
        (folder / f"package.use/{number}").touch()

    with raises("bad-dotgentoo", match="at most 2000"):
        load_folder(folder)


def test_thousands_of_hidden_files_are_rejected(tmp_path: Path):
    folder = written(tmp_path)
    for number in range(safe_read.MAX_ENTRIES):
        (folder / f".{number}").touch()

    with raises("bad-dotgentoo", match="at most 2000"):
        load_folder(folder)


def test_deeply_nested_directories_are_rejected(tmp_path: Path):
    with raises("bad-dotgentoo", match="at most 8"):
        load_folder(written(tmp_path, {f"package.use/{'d/' * 9}x": ""}))


@pytest.mark.parametrize("name", ["install.sh", "bashrc", "make.conf", "README"])
def test_unknown_files_are_not_opened(name: str, tmp_path: Path):
    folder = written(tmp_path)
    os.mkfifo(folder / name)

    assert load_folder(folder).unread == (name,)


def test_a_name_that_is_not_utf8_is_reported(tmp_path: Path, capfd):
    folder = written(tmp_path, {"app-misc/hello/files/x": ""})
    files = folder / "app-misc/hello/files"
    (files / "x").rename(files / os.fsdecode(b"\xff\x1b[31m"))

    assert run_command_line(["dotgentoo", "id", str(folder)]) == 78
    shown = capfd.readouterr().err
    assert r"files/\udcff\x1b[31m: " in shown


def test_an_ebuild_is_not_sourced(tmp_path: Path):
    mark = tmp_path / "ran"
    folder = written(tmp_path, {AT: f'EAPI=8\nDESCRIPTION="$(touch {mark})"\nSLOT=0\ntouch {mark}\n'})

    assert [run_command_line(["dotgentoo", what, str(folder)]) for what in ("id", "check")] == [0, 0]
    assert not mark.exists()
