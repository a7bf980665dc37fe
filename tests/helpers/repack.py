# SPDX-License-Identifier: GPL-2.0-or-later
"""Real binary packages with other metadata: instances by the dozen out of one build."""

import hashlib
import io
import random
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from helpers.packages import metadata as packed_metadata
from helpers.packages import tar, xpak, zstd

Changes = Mapping[str, str | None]
"""File of metadata -> what it says from now on; None where it is to be gone."""
Sign = Callable[[bytes, str], bytes]
"""``sign(content, "--detach-sign" or "--clear-sign")``, as gpg does it."""


def instance(built: Path, folder: Path, build_id: int, changes: Changes, *, sign: Sign | None = None) -> Path:
    """Put one more instance of a package that was really built into a PKGDIR, the newer the higher its number.

    Args:
        sign: of a gpkg that was signed, so that this one is as well.
    """
    cpv = f"{built.parent.parent.name}/{built.parent.name}"
    name = built.name.partition(".gpkg.tar")[0].removesuffix(".xpak").rpartition("-")[0]
    told = {"BUILD_ID": f"{build_id}", "BUILD_TIME": f"{1_600_000_000 + build_id}", "GM_REQUIRES": None, **changes}
    form = ".gpkg.tar" if built.name.endswith(".gpkg.tar") else ".xpak"
    path = folder / cpv / f"{name}-{build_id}{form}"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = built.read_bytes()
    path.write_bytes(_gpkg(content, f"{name}-{build_id}", told, sign) if form == ".gpkg.tar" else _xpak(content, told))
    return path


def noise(number: int) -> str:
    """30 KB that the instance of a number has and no other; as a file of its metadata it is installed with it."""
    return random.Random(number).randbytes(30_000).hex()


def _changed(files: Mapping[str, bytes], changes: Changes) -> dict[str, bytes]:
    kept = {name: content for name, content in files.items() if name not in changes}
    return kept | {name: f"{text}\n".encode() for name, text in changes.items() if text is not None}


def _gpkg(built: bytes, name: str, changes: Changes, sign: Sign | None) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(built)) as outer:
        members = {one.name.rpartition("/")[2]: outer.extractfile(one).read() for one in outer}
    with tarfile.open(fileobj=io.BytesIO(zstd.decompress(members["metadata.tar.zst"]))) as inner:
        files = {one.name.partition("/")[2]: inner.extractfile(one).read() for one in inner}
    members["metadata.tar.zst"] = zstd.compress(packed_metadata(_changed(files, changes)))
    if sign:
        members["metadata.tar.zst.sig"] = sign(members["metadata.tar.zst"], "--detach-sign")
    del members["Manifest"]
    lines = [f"DATA {member} {len(content)} {_hashes(content)}\n" for member, content in members.items()]
    manifest = "".join(lines).encode()
    members["Manifest"] = sign(manifest, "--clear-sign") if sign else manifest
    return tar((f"{name}/{member}", content) for member, content in members.items())


def _hashes(content: bytes) -> str:
    return f"BLAKE2B {hashlib.blake2b(content).hexdigest()} SHA512 {hashlib.sha512(content).hexdigest()}"


def _xpak(built: bytes, changes: Changes) -> bytes:
    (size,) = struct.unpack(">I", built[-8:-4])
    start = len(built) - 8 - size
    index_size, data_size = struct.unpack(">II", built[start + 8 : start + 16])
    index, data = built[start + 16 : start + 16 + index_size], built[start + 16 + index_size :][:data_size]
    files, place = {}, 0
    while place < index_size:
        (length,) = struct.unpack(">I", index[place : place + 4])
        name, (offset, size) = (
            index[place + 4 : place + 4 + length],
            struct.unpack(">II", index[place + 4 + length :][:8]),
        )
        files[name.decode()] = data[offset : offset + size]
        place += length + 12
    return xpak(_changed(files, changes), image=built[:start])
