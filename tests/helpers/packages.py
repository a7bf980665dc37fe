# SPDX-License-Identifier: GPL-2.0-or-later
"""Binary packages made in memory, well-formed or not."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Iterable, Mapping

from gentoomuch_portage.binpkg import formats
from gentoomuch_portage.binpkg.formats import Source

try:
    from compression import zstd  # Python 3.14
except ImportError:
    from backports import zstd

PACK = {
    "": bytes,
    ".zst": zstd.compress,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
"""How a name ends -> what packs it."""
PLAIN = {"CFLAGS": b"-O2 -march=haswell\n", "CXXFLAGS": b"-O2\n", "CHOST": b"x86_64-pc-linux-gnu\n", "zzz": b"z" * 3000}
WANTED = frozenset({"CFLAGS", "CXXFLAGS", "CHOST", "GM_REQUIRES"})


def tar(members: Iterable[tuple[str | tarfile.TarInfo, bytes]], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar archive; a member is named, or given as it is to stand in its header."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def metadata(files: Mapping[str, bytes]) -> bytes:
    """The inner archive of a gpkg."""
    return tar((f"metadata/{name}", content) for name, content in files.items())


def gpkg(
    files: Mapping[str, bytes] = PLAIN, kind: str = ".zst", *, inner: bytes | None = None, image: int = 2000
) -> bytes:
    """A gpkg.

    Args:
        inner: stands in the place of the packed metadata.
        image: its bytes.
    """
    packed = PACK[kind](metadata(files)) if inner is None else inner
    return tar(
        [
            ("p-1/gpkg-1", b""),
            (f"p-1/metadata.tar{kind}", packed),
            ("p-1/image.tar.zst", b"i" * image),
            ("p-1/Manifest", b"m"),
        ]
    )


def xpak(files: Mapping[str, bytes] = PLAIN, *, image: int | bytes = 2000) -> bytes:
    """An xpak. Source: xpak(5)."""
    index, data = b"", b""
    for name, content in sorted(files.items()):
        index += struct.pack(f">I{len(name)}sII", len(name), name.encode(), len(data), len(content))
        data += content
    segment = b"XPAKPACK" + struct.pack(">II", len(index), len(data)) + index + data + b"XPAKSTOP"
    return (b"i" * image if isinstance(image, int) else image) + segment + struct.pack(">I", len(segment)) + b"STOP"


def source(content: bytes, name: str) -> Source:
    """Bytes in memory as a file."""
    return Source(name, len(content), lambda offset, length: content[offset : offset + length])


def read(content: bytes, name: str = "p-1.gpkg.tar") -> dict[str, str]:
    """What is wanted out of bytes in memory."""
    return formats.read(source(content, name), WANTED)
