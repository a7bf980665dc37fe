# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots from archives: what comes along, and images that are not what they say."""

import gzip
import hashlib
import io
import json
import lzma
import os
import stat
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from helpers.stages import DEVICE, FILE, FOLDER, LINK, a_root, exported, packed

from gentoomuch_portage.roots import install, oci
from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.unpack.stream import Packed

CAPABLE = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw=ep, as the kernel keeps it."""
Entries = list[tuple[str, bytes, Any]]


def unpacked(archive: Path, root: Path) -> Path:
    """Make a root of an archive."""
    install.install((Packed(str(archive), 0, archive.stat().st_size),), root, quiet=True)
    return root


def image(folder: Path, *layers: Entries, spoil: str = "") -> Path:
    """An image in an OCI layout: one of its parts is changed after its digest was taken, where asked."""
    contents: dict[str, bytes] = {}

    def blob(name: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        contents[f"blobs/sha256/{digest}"] = content + b" " if name == spoil else content
        return {"digest": f"sha256:{digest}", "size": len(content), "mediaType": f"application/vnd.oci.image.{name}"}

    tars = [packed(one) for one in layers]
    told = [blob("layer.v1.tar+gzip", gzip.compress(one)) for one in tars]
    inners = [f"sha256:{hashlib.sha256(one if spoil != 'inner' else b'').hexdigest()}" for one in tars]
    config = blob("config.v1+json", json.dumps({"rootfs": {"type": "layers", "diff_ids": inners}}).encode())
    manifest = blob("manifest.v1+json", json.dumps({"config": config, "layers": told}).encode())
    contents["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    contents["index.json"] = json.dumps({"manifests": [manifest]}).encode()
    out = folder / "image.tar"
    with tarfile.open(out, "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".tar.zst"])
def test_unpacking_an_exported_root_restores_it(tmp_path: Path, suffix: str) -> None:
    root = a_root(tmp_path / "root")

    back = unpacked(exported(root, tmp_path / f"out{suffix}"), tmp_path / "back")

    assert (back / "usr/bin/su").stat().st_mode == stat.S_IFREG | 0o4711
    assert (back / "usr/bin/sudo").samefile(back / "usr/bin/su")
    assert (back / "lib64").readlink() == Path("usr/lib64")
    assert (back / "tmp").stat().st_mode == stat.S_IFDIR | 0o1777
    assert int((back / "usr/bin").stat().st_mtime) == int((root / "usr/bin").stat().st_mtime)
    assert not list((back / "var/tmp").iterdir())
    assert not list((back / "run").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives capabilities and owners")
def test_capabilities_attributes_and_owners_are_exported(tmp_path: Path) -> None:
    root = a_root(tmp_path / "root")
    os.setxattr(root / "usr/bin/su", "security.capability", CAPABLE)
    os.chown(root / "usr/lib64/libc.so", 250, 1234)
    try:
        os.setxattr(root / "usr/lib64/libc.so", "user.note", b"\xff\x00=\n")
    except OSError:
        pytest.skip("this file system has no attributes of users")

    back = unpacked(exported(root, tmp_path / "out.tar"), tmp_path / "back")

    assert os.getxattr(back / "usr/bin/su", "security.capability") == CAPABLE
    assert os.getxattr(back / "usr/lib64/libc.so", "user.note") == b"\xff\x00=\n"
    seen = (back / "usr/lib64/libc.so").stat()
    assert (seen.st_uid, seen.st_gid) == (250, 1234)


def test_an_exported_image_becomes_a_root_again(tmp_path: Path) -> None:
    out = exported(a_root(tmp_path / "root"), tmp_path / "out.oci", "oci")

    install.install(oci.layers(out), tmp_path / "back", quiet=True)

    assert (tmp_path / "back/usr/lib64/libc.so").read_text() == "libc"


def test_layers_lie_one_upon_the_other_and_whiteouts_remove(tmp_path: Path) -> None:
    low: Entries = [
        ("etc", FOLDER, None), ("etc/a", FILE, b"1"), ("etc/b", FILE, b"1"),
        ("opt", FOLDER, None), ("opt/x", FILE, b"1"), ("opt/y", FILE, b"1"), ("srv", FILE, b"1"),
    ]  # fmt: skip
    high: Entries = [
        ("etc/.wh.a", FILE, b""), ("etc/b", FILE, b"2"), ("opt/z", FILE, b"2"), ("opt/.wh..wh..opq", FILE, b""),
        ("srv", FOLDER, None), ("srv/new", FILE, b"2"), ("gone/.wh.never", FILE, b""),
    ]  # fmt: skip

    install.install(oci.layers(image(tmp_path, low, high)), tmp_path / "root", quiet=True)

    found = {str(one.relative_to(tmp_path / "root")) for one in (tmp_path / "root").rglob("*") if one.is_file()}
    assert found == {"etc/b", "opt/z", "srv/new"}
    assert (tmp_path / "root/etc/b").read_text() == "2"


@pytest.mark.parametrize("spoil", ["layer.v1.tar+gzip", "config.v1+json", "manifest.v1+json", "inner"])
def test_an_image_with_a_wrong_digest_is_rejected(tmp_path: Path, spoil: str) -> None:
    out = image(tmp_path, [("a", FILE, b"1")], spoil=spoil)

    with pytest.raises(BadArchive):
        install.install(oci.layers(out), tmp_path / "roots/root", quiet=True)
    assert not (tmp_path / "roots").exists()


@pytest.mark.parametrize(
    "layers",
    [
        ([("etc", LINK, "/etc")], [("etc/out", FILE, b"x")]),
        ([("etc", LINK, "/tmp")], [("etc/.wh.out", FILE, b"")]),
        ([("a", FILE, b"1")], [("dev/sda", DEVICE, (8, 0))]),
        ([("a", FILE, b"1")], [(".wh...", FILE, b"")]),
    ],
)
def test_a_layer_cannot_write_through_a_link_of_a_lower_layer(tmp_path: Path, layers: tuple[Entries, ...]) -> None:
    (tmp_path / "roots").mkdir()

    with pytest.raises(BadArchive):
        install.install(oci.layers(image(tmp_path, *layers)), tmp_path / "roots/root", quiet=True)
    assert not any((tmp_path / "roots").iterdir())


@pytest.mark.parametrize("content", [b"", b"nothing", packed([("a", FILE, b"1")]), lzma.compress(packed())])
def test_a_file_that_is_not_an_image_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)

    with pytest.raises(BadArchive):
        oci.layers(tmp_path / "image")


def test_an_archive_of_two_images_is_rejected(tmp_path: Path) -> None:
    out = image(tmp_path, [("a", FILE, b"1")])
    with tarfile.open(out, "a") as tar:
        info = tarfile.TarInfo("index.json")
        told = json.dumps({"manifests": [{}, {}]}).encode()
        info.size = len(told)
        tar.addfile(info, io.BytesIO(told))

    with pytest.raises(BadArchive, match=f"2 images for {oci.architecture()}"):
        oci.layers(out)


def odd(**told: Any) -> bytes:
    """An archive with one entry that has what no archive should have: fields of a header, or of its extension."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("x")
        for name, value in told.items():
            setattr(info, name, value)
        tar.addfile(info)
    return content.getvalue()


NESTED = odd(type=tarfile.XHDTYPE)[:512] * 2000
"""Each header says that the next is the one that it is about."""


@pytest.mark.parametrize(
    "content",
    [
        *(odd(pax_headers={"mtime": when}) for when in ("nan", "inf", "1e400", "-1e30")),
        *(odd(uid=number) for number in (2**40, 2**32 - 1)),
        odd(gid=2**32),
        odd(pax_headers={"uid": "-2"}),
        odd(pax_headers={"size": "-1024"}),
        odd(pax_headers={"size": str(1 << 62)}),
        odd(type=LINK, pax_headers={"linkpath": "a\0b"}),
        odd(pax_headers={"SCHILY.xattr.user.a\0b": "x"}),
        odd(pax_headers={"SCHILY.xattr.user.": "x"}),
        odd(type=FOLDER, pax_headers={"SCHILY.xattr.user.": "x"}),
        odd(pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
        NESTED,
    ],
    ids=lambda content: hashlib.sha256(content).hexdigest()[:6],
)
def test_a_damaged_tar_header_is_rejected_without_a_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.tar").write_bytes(content)

    with pytest.raises(BadArchive):
        unpacked(tmp_path / "odd.tar", tmp_path / "roots/root")
    assert not list(tmp_path.glob("roots/*"))


def test_an_xz_that_needs_gigabytes_is_rejected(tmp_path: Path) -> None:
    header = bytes.fromhex("0200210127000000")  # a block of LZMA2 with a dictionary of 3 GiB
    plain = lzma.compress(packed([("a", FILE, b"1")]))
    greedy = plain[:12] + header + zlib.crc32(header).to_bytes(4, "little") + plain[24:]
    (tmp_path / "greedy.tar.xz").write_bytes(greedy)

    with pytest.raises(BadArchive, match="emory"):
        unpacked(tmp_path / "greedy.tar.xz", tmp_path / "roots/root")


def test_an_xz_of_several_streams_is_read_to_its_end(tmp_path: Path) -> None:
    whole = packed([("a", FILE, b"1" * 600), ("b", FILE, b"2")])
    parts = [lzma.compress(whole[:700]), b"\0" * 8, lzma.compress(whole[700:])]
    (tmp_path / "root.tar.xz").write_bytes(b"".join(parts))

    assert (unpacked(tmp_path / "root.tar.xz", tmp_path / "root") / "b").read_text() == "2"


def tarred(folder: Path, **contents: bytes) -> Path:
    """An archive with these files in it, each ``_`` of a name a dash, ``__`` a dot."""
    with tarfile.open(folder / "image.tar", "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name.replace("__", ".").replace("_", "-"))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return folder / "image.tar"


def test_an_endlessly_nested_index_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="not an image"):
        oci.layers(tarred(tmp_path, oci_layout=b"{}", index__json=b"[" * 100_000))


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_image_without_layers_is_rejected(tmp_path: Path, kind: str) -> None:
    config = b'{"rootfs": {"diff_ids": []}}'
    told = {"config__json": config, "manifest__json": b'[{"Config": "config.json", "Layers": []}]'}
    out = image(tmp_path) if kind == "oci" else tarred(tmp_path, **told)

    with pytest.raises(BadArchive, match="no layers"):
        oci.layers(out)


@pytest.mark.parametrize("size", [2 << 20, -1024])
def test_a_header_of_an_image_has_limits(tmp_path: Path, size: int) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    (tmp_path / "image.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * (3 << 20))

    with pytest.raises(BadArchive, match=f"a header of {size} bytes"):
        oci.layers(tmp_path / "image.tar")
