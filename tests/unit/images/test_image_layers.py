# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers of images: what differs from the layers below, and nothing else."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from gentoomuch_portage.images import layers
from gentoomuch_portage.images.layers import LayerJob
from gentoomuch_portage.roots import unpack
from gentoomuch_portage.roots.unpack.stream import Packed

EPOCH = 1_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with directories, files, a link and a hard link."""
    root = tmp_path / "root"
    for name, text in (("etc/motd", "hello"), ("usr/bin/a", "program"), ("usr/share/doc/x", "text"), ("usr/old", "")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "bin").symlink_to("usr/bin")
    os.link(root / "usr/bin/a", root / "usr/bin/b")
    return root


def write(root: Path, out: Path, *lower: Path) -> list[str]:
    """Write a layer in this process, as a user, too; return the names of its entries."""
    job = LayerJob(root=str(root), out=str(out), epoch=EPOCH, lower=tuple(map(str, lower)))
    layers._write_layer(job)
    with tarfile.open(out) as tar:
        return tar.getnames()


def test_equal_content_gives_equal_bytes_whatever_its_times(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "one")
    os.utime(root / "etc/motd", (2_000_000_000, 2_000_000_000))
    os.utime(root / "etc", (2_000_000_001, 2_000_000_001))

    write(root, tmp_path / "two")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_unchanged_root_gives_an_empty_layer(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "one")
    (root / "etc/motd").write_text("hello")  # again, with a new time

    assert write(root, tmp_path / "two", tmp_path / "one") == []


def test_a_layer_has_only_changes_and_the_directories_above_them(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "one")
    (root / "etc/motd").write_text("other")
    (root / "usr/bin/a").chmod(0o700)

    assert write(root, tmp_path / "two", tmp_path / "one") == [
        ".", "./etc", "./etc/motd", "./usr", "./usr/bin", "./usr/bin/a", "./usr/bin/b",
    ]  # fmt: skip


def test_removed_entries_become_whiteouts_of_the_outermost(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "one")
    (root / "usr/share/doc/x").unlink()
    (root / "usr/share/doc").rmdir()
    (root / "usr/old").unlink()

    names = write(root, tmp_path / "two", tmp_path / "one")

    assert [name for name in names if ".wh." in name] == ["./usr/.wh.old", "./usr/share/.wh.doc"]


def test_a_new_hard_link_to_an_unchanged_file_is_a_file_of_its_own(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "one")
    os.link(root / "etc/motd", root / "etc/issue")
    os.link(root / "etc/motd", root / "etc/other")

    write(root, tmp_path / "two", tmp_path / "one")

    with tarfile.open(tmp_path / "two") as tar:
        assert (tar.getmember("./etc/issue").isreg(), tar.getmember("./etc/issue").size) == (True, 5)
        assert tar.getmember("./etc/other").linkname == "./etc/issue"


@pytest.mark.skipif(os.geteuid() != 0, reason="owners of files are set")
def test_unpacked_layers_are_the_root_again(root: Path, tmp_path: Path) -> None:
    """A directory becomes a file, a file a directory, and a directory is removed and created again."""
    out = [tmp_path / name for name in ("one", "two", "three")]
    write(root, out[0])
    (root / "usr/old").unlink()
    (root / "usr/old").mkdir()
    (root / "usr/old/new").write_text("new")
    (root / "usr/share/doc/x").unlink()
    (root / "usr/share/doc").rmdir()
    (root / "usr/share/doc").write_text("a file")
    (root / "etc/motd").unlink()
    write(root, out[1], out[0])
    (root / "usr/share/doc").unlink()
    (root / "usr/share/doc").mkdir()
    (root / "usr/share/doc/y").write_text("y")
    (root / "etc/motd").write_text("back")
    write(root, out[2], out[0], out[1])

    (tmp_path / "again").mkdir()
    for number, file in enumerate(out):
        unpack.unpack([Packed(str(file), 0, file.stat().st_size)], tmp_path / "again", quiet=True, layered=number > 0)

    assert write(tmp_path / "again", tmp_path / "four", *out) == []
    assert gzip.decompress(write_whole(root, tmp_path)) == gzip.decompress(write_whole(tmp_path / "again", tmp_path))


def write_whole(root: Path, folder: Path) -> bytes:
    write(root, folder / "whole")
    return (folder / "whole").read_bytes()
