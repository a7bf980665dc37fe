# SPDX-License-Identifier: GPL-2.0-or-later
"""What is exported of a root: equal bytes for equal content, what the image says, and nothing from elsewhere."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from helpers.errors import raises
from helpers.stages import a_root, exported

from gentoomuch_portage.roots import oci, pack
from gentoomuch_portage.roots.errors import BadArchive


@pytest.mark.parametrize("form", ["tar", "oci", "squashfs"])
def test_equal_roots_give_equal_bytes(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "squashfs" and not shutil.which("mksquashfs"):
        pytest.skip("there is no mksquashfs")
    first, second = a_root(tmp_path / "a"), a_root(tmp_path / "b")
    os.utime(second / "usr/lib64/libc.so", (2_000_000_000, 2_000_000_000))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")

    one, other = exported(first, tmp_path / "one", form), exported(second, tmp_path / "other", form)

    assert one.read_bytes() == other.read_bytes()
    assert exported(first, tmp_path / "again", form).read_bytes() == one.read_bytes()


@pytest.mark.parametrize("swapped", ["etc/motd", "etc"])
def test_nothing_is_exported_through_a_link_that_was_laid_meanwhile(
    tmp_path: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, private = a_root(tmp_path / "root"), tmp_path / "private"
    (root / "etc/motd").write_text("hello")
    private.mkdir()
    (private / "motd").write_text("a secret")
    entries = pack.entries

    def swapping(*args: Any, **told: Any) -> Any:
        for one in entries(*args, **told):
            if one.info.name == "./etc/motd":
                (root / swapped).rename(tmp_path / "away")
                (root / swapped).symlink_to(private / swapped.removeprefix("etc").lstrip("/"))
            yield one

    monkeypatch.setattr(pack, "entries", swapping)
    monkeypatch.setattr(pack, "pack", pack._pack)  # in this process, as a user, too

    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        exported(root, tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()


def test_an_exported_image_is_for_the_machine_of_its_root(tmp_path: Path) -> None:
    out = exported(a_root(tmp_path / "root"), tmp_path / "out.oci", "oci", chost="s390x-ibm-linux-gnu")

    assert len(oci.layers(out, "s390x-ibm-linux-gnu")) == 1
    with pytest.raises(BadArchive, match=f"no images for {oci.architecture()}"):
        oci.layers(out)


@pytest.mark.parametrize(
    ("chost", "called"),
    [
        ("x86_64-pc-linux-gnu", "amd64"),
        ("i686-pc-linux-gnu", "386"),
        ("aarch64-unknown-linux-gnu", "arm64"),
        ("armv7a-unknown-linux-gnueabihf", "arm"),
        ("riscv64-unknown-linux-musl", "riscv64"),
    ],
)
def test_images_call_machines_by_other_names(chost: str, called: str) -> None:
    assert oci.architecture(chost) == called


@pytest.mark.parametrize(
    ("name", "tag"),
    [("router", "router"), ("my__box-1.0", "my__box-1.0"), ("Router", "router"), ("lib.c++", "lib.c"), ("a+-B", "a-b"),
     ("a...b_", "a-b")],
)  # fmt: skip
def test_the_tag_of_an_image_is_valid_for_podman(tmp_path: Path, name: str, tag: str) -> None:
    out = exported(a_root(tmp_path / "root"), tmp_path / "out.oci", "oci", name=name)

    with tarfile.open(out) as tar:
        [image] = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        [listed] = json.load(tar.extractfile("index.json") or io.BytesIO())["manifests"]
    assert image["RepoTags"] == [f"{tag}:latest"] == list(listed["annotations"].values())


@pytest.mark.parametrize("told", ["yesterday", "²", "-1", "999999999999", "9" * 5000])
def test_an_invalid_source_date_epoch_is_rejected(tmp_path: Path, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", told)

    with raises("bad-epoch"):
        exported(a_root(tmp_path / "root"), tmp_path / "out.oci", "oci")
    assert [one.name for one in tmp_path.iterdir()] == ["root"]
