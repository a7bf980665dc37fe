"""Real binary packages with other metadata: instances by the dozen out of one build."""

import hashlib
import io
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

from making import metadata as packed_metadata
from making import tar, xpak, zstd

Changes = Mapping[str, str | None]
"""File of metadata -> what it says from now on; None where it is to be gone."""


def instance(built: Path, folder: Path, build_id: int, changes: Changes) -> Path:
    """Put one more instance of a package that was really built into a PKGDIR, the newer the higher its number."""
    cpv = f"{built.parent.parent.name}/{built.parent.name}"
    name = built.name.partition(".gpkg.tar")[0].removesuffix(".xpak").rpartition("-")[0]
    told = {"BUILD_ID": f"{build_id}", "BUILD_TIME": f"{1_600_000_000 + build_id}", "GM_REQUIRES": None, **changes}
    form = ".gpkg.tar" if built.name.endswith(".gpkg.tar") else ".xpak"
    path = folder / cpv / f"{name}-{build_id}{form}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((_gpkg if form == ".gpkg.tar" else _xpak)(built.read_bytes(), f"{name}-{build_id}", told))
    return path


def _changed(files: Mapping[str, bytes], changes: Changes) -> dict[str, bytes]:
    kept = {name: content for name, content in files.items() if name not in changes}
    return kept | {name: f"{text}\n".encode() for name, text in changes.items() if text is not None}


def _gpkg(built: bytes, name: str, changes: Changes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(built)) as outer:
        members = {one.name.rpartition("/")[2]: outer.extractfile(one).read() for one in outer}
    with tarfile.open(fileobj=io.BytesIO(zstd.decompress(members["metadata.tar.zst"]))) as inner:
        files = {one.name.partition("/")[2]: inner.extractfile(one).read() for one in inner}
    members["metadata.tar.zst"] = zstd.compress(packed_metadata(_changed(files, changes)))
    del members["Manifest"]
    lines = [f"DATA {member} {len(content)} {_hashes(content)}\n" for member, content in members.items()]
    return tar(
        (f"{name}/{member}", content) for member, content in {**members, "Manifest": "".join(lines).encode()}.items()
    )


def _hashes(content: bytes) -> str:
    return f"BLAKE2B {hashlib.blake2b(content).hexdigest()} SHA512 {hashlib.sha512(content).hexdigest()}"


def _xpak(built: bytes, _name: str, changes: Changes) -> bytes:
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
