# SPDX-License-Identifier: GPL-2.0-or-later
"""Private files of directories that a container sees as they are do not exist in it."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gentoomuch_portage.containers import mounts, private_files
from gentoomuch_portage.containers.spec import Overlay


def _file(path: Path, mode: int = 0o644, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _installed(vdb: Path, *lines: str) -> Path:
    """A database of installed packages with one package, which owns these lines of CONTENTS."""
    _file(vdb / "app-misc/owner-1/CONTENTS", text="".join(f"{line}\n" for line in lines))
    return vdb


def test_private_files_are_found_at_every_depth(tmp_path: Path) -> None:
    _file(tmp_path / "1/2/3/4/5/secret", 0o640)
    _file(tmp_path / "open/known")
    _file(tmp_path / "shut/known").parent.chmod(0o750)
    (tmp_path / "link").symlink_to("shut")
    assert private_files.find_private(str(tmp_path), "", tmp_path / "cache") == ("1/2/3/4/5/secret", "shut")


def test_a_file_removed_during_the_search_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real-host finding 1: seen failing on dfeccc0, where one that vanished ended the search of its directory."""
    for number in range(20):
        _file(tmp_path / f"file{number}", 0o600)
    listed = os.scandir

    class Listing:
        """A listing of a directory from which something is removed after it was read."""

        def __init__(self, folder: str) -> None:
            self._entries = list(listed(folder))
            (tmp_path / self._entries[0].name).unlink()

        def __enter__(self) -> "Listing":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self) -> Iterator["os.DirEntry[str]"]:
            return iter(self._entries)

    monkeypatch.setattr(os, "scandir", Listing)
    assert len(private_files.find_private(str(tmp_path), "", tmp_path / "cache")) == 19


def test_files_of_packages_are_not_private(tmp_path: Path) -> None:
    top, vdb = tmp_path / "usr", tmp_path / "pkg"
    _file(top / "bin/su", 0o4711)
    _file(top / "share/secretapp/token", 0o600)
    _file(top / "local/etc/token", 0o600)
    _installed(vdb, f"obj {top}/bin/su 0123 456", f"dir {top}/share/secretapp")
    assert private_files.find_private(str(top), str(vdb), tmp_path / "cache") == ("share/secretapp/token",)


def test_signing_keys_below_usr_src_are_private_with_any_mode(tmp_path: Path) -> None:
    """Allow-list finding "keys": seen failing on dfeccc0, where /usr was not searched."""
    top, vdb = tmp_path / "usr", _installed(tmp_path / "pkg")
    _file(top / "src/linux-6/certs/signing_key.pem", 0o644)
    _file(top / "src/linux-6/.config", 0o644)
    assert private_files.find_private(str(top), str(vdb), tmp_path / "cache") == ("src/linux-6/certs/signing_key.pem",)


@pytest.mark.parametrize(
    "change",
    [
        lambda top, _: _file(top / "new", 0o600),
        lambda top, _: _file(top / "a/b/new", 0o600),
        lambda top, _: (top / "a/b").chmod(0o700),
        lambda top, vdb: (_file(top / "a/b/c/d/e/new", 0o600), _file(vdb / "app-misc/other-1/CONTENTS")),
    ],
)
def test_a_search_is_repeated_when_packages_or_upper_directories_change(
    tmp_path: Path, change: Callable[[Path, Path], object]
) -> None:
    top, vdb = tmp_path / "usr", _installed(tmp_path / "pkg")
    _file(top / "a/b/c/d/e/known")
    assert private_files.find_private(str(top), str(vdb), tmp_path / "cache") == ()
    change(top, vdb)
    assert len(private_files.find_private(str(top), str(vdb), tmp_path / "cache")) == 1


def _hide(source: Path, upper: Path) -> None:
    upper.mkdir(exist_ok=True)
    hidden = private_files.find_private(str(source), "", upper)
    mounts.hide(Overlay(str(source), "/etc", str(upper), True, "", hidden))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root of a namespace makes whiteouts")
def test_private_files_are_whiteouts_of_the_upper_layer(tmp_path: Path) -> None:
    source, upper = tmp_path / "etc", tmp_path / "up"
    _file(source / "deep/secret", 0o600).parent.chmod(0o711)
    _hide(source, upper)
    status = (upper / "deep/secret").lstat()
    assert (stat.S_ISCHR(status.st_mode), status.st_rdev) == (True, 0)
    assert stat.S_IMODE((upper / "deep").stat().st_mode) == 0o711


def test_files_changed_by_a_container_are_not_hidden(tmp_path: Path) -> None:
    source, upper = tmp_path / "etc", tmp_path / "up"
    _file(source / "secret", 0o600, "host's")
    _file(upper / "secret", 0o600, "mine")
    _hide(source, upper)
    assert (upper / "secret").read_text() == "mine"


def test_directories_removed_by_a_container_stay_removed(tmp_path: Path) -> None:
    source, upper = tmp_path / "etc", tmp_path / "up"
    _file(source / "ppp/deep/secret", 0o600)
    _file(source / "ssh/secret", 0o600)
    _file(upper / "ppp")  # as a whiteout of overlayfs, which only a mount makes
    (upper / "ssh").symlink_to(tmp_path)
    _hide(source, upper)
    assert (upper / "ppp").is_file()
    assert not (tmp_path / "secret").exists()
