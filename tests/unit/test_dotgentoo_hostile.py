"""Folders of a stranger: refused with a limit, and nothing outside of them is opened."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from dotgentoos import AT, written

from gentoomuch_portage.cli.commands import enter
from gentoomuch_portage.dotgentoo import safe_read
from gentoomuch_portage.dotgentoo.errors import BadFolder
from gentoomuch_portage.dotgentoo.load import read


@pytest.mark.parametrize(
    "name", ["package.use/u", "package.use", "overlays", "app-misc", "app-misc/hello", AT, "env/e"]
)
def test_a_link_is_refused_wherever_it_leads(name: str, tmp_path: Path):
    folder = written(tmp_path / "a", {"package.mask": "a/b\n"})
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.exists():
        link.rename(tmp_path / "moved")
    link.symlink_to(tmp_path / "moved" if (tmp_path / "moved").exists() else "/etc")

    with pytest.raises(BadFolder, match=r"it is a link"):
        read(folder)


def test_a_folder_that_may_not_be_read_is_to_be_opened_and_not_replaced(tmp_path: Path, monkeypatch):
    def shut(path: str, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    folder = written(tmp_path)
    monkeypatch.setattr(os, "open", shut)  # root may open any

    with pytest.raises(BadFolder, match="permission denied") as caught:
        read(folder)

    assert caught.value.remedy == "open it for reading"


def test_the_folder_itself_may_not_be_a_link(tmp_path: Path, capsys):
    written(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/.gentoo").symlink_to(tmp_path / "a/.gentoo")

    assert enter(["dotgentoo", "id", str(tmp_path / "b")]) == 78
    assert "it is a link" in capsys.readouterr().err


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
def test_what_is_no_plain_file_is_refused_unread(make: Callable[[Path], None], name: str, tmp_path: Path):
    folder = written(tmp_path)
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    make(folder / name)

    with pytest.raises(BadFolder, match="neither a plain file nor a directory"):
        read(folder)


def test_a_gibibyte_is_refused_by_its_size(tmp_path: Path):
    folder = written(tmp_path, {"package.use": ""})
    os.truncate(folder / "package.use", 2**30)

    with pytest.raises(BadFolder, match="larger than 1024 KiB"):
        read(folder)


def test_many_files_that_are_large_together_are_refused(tmp_path: Path):
    files: dict[str, str | bytes] = {f"app-misc/hello/files/{n}": b"x" * safe_read.LARGEST for n in range(9)}

    with pytest.raises(BadFolder, match="larger than 8 MiB together"):
        read(written(tmp_path, files))


def test_thousands_of_files_are_refused(tmp_path: Path):
    folder = written(tmp_path, {"package.use/x": ""})
    for number in range(safe_read.ENTRIES):
        (folder / f"package.use/{number}").touch()

    with pytest.raises(BadFolder, match="more than 2000 files"):
        read(folder)


def test_thousands_of_hidden_files_are_refused_too(tmp_path: Path):
    folder = written(tmp_path)
    for number in range(safe_read.ENTRIES):
        (folder / f".{number}").touch()

    with pytest.raises(BadFolder, match="more than 2000 files"):
        read(folder)


def test_directories_without_end_are_refused(tmp_path: Path):
    with pytest.raises(BadFolder, match="more than 8 directories below each other"):
        read(written(tmp_path, {f"package.use/{'d/' * 9}x": ""}))


@pytest.mark.parametrize("name", ["install.sh", "bashrc", "make.conf", "README"])
def test_what_is_unknown_is_not_opened(name: str, tmp_path: Path):
    folder = written(tmp_path)
    os.mkfifo(folder / name)

    assert read(folder).unread == (name,)


def test_a_name_that_is_no_text_is_told_of_all_the_same(tmp_path: Path, capfd):
    folder = written(tmp_path, {"app-misc/hello/files/x": ""})
    files = folder / "app-misc/hello/files"
    (files / "x").rename(files / os.fsdecode(b"\xff\x1b[31m"))

    assert enter(["dotgentoo", "id", str(folder)]) == 78
    shown = capfd.readouterr().err
    assert r"files/\udcff\x1b[31m: this name cannot be printed" in shown


def test_an_ebuild_that_would_run_code_where_it_is_sourced_is_not_sourced(tmp_path: Path):
    mark = tmp_path / "ran"
    folder = written(tmp_path, {AT: f'EAPI=8\nDESCRIPTION="$(touch {mark})"\nSLOT=0\ntouch {mark}\n'})

    assert [enter(["dotgentoo", what, str(folder)]) for what in ("id", "check")] == [0, 0]
    assert not mark.exists()
