# SPDX-License-Identifier: GPL-2.0-or-later
"""Read compressed archives once, while their digests are checked."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from gentoomuch_portage import zstd
from gentoomuch_portage.roots.errors import BadArchive

Progress = Callable[[int], object]
"""Called with the number of compressed bytes that were read since the last call."""
_CHUNK = 1 << 20
_MOST_MEMORY = 512 << 20
"""Bytes of memory to decompress xz; its strongest preset needs 65 MiB."""
_MOST_BEYOND = 100
"""Reads after the end; tarfile repeats them for as many bytes as a header claims."""
_BROKEN = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


class Packed(NamedTuple):
    """A tar archive, compressed or not: a file or a part of one."""

    file: str
    offset: int
    size: int
    digest: str = ""
    """``sha256:HEX`` of the compressed bytes; empty if unknown."""
    inner: str = ""
    """The same of the decompressed bytes."""
    name: str = ""
    """For messages; default: the name of the file."""

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.name or self.file


class _Slice(io.RawIOBase):
    """A part of a file, hashed while it is read."""

    def __init__(self, packed: Packed, progress: Progress) -> None:
        self._number = os.open(packed.file, os.O_RDONLY | os.O_CLOEXEC)
        self._at, self._end = packed.offset, packed.offset + packed.size
        self._hash = hashlib.new(packed.digest.partition(":")[0] or "sha256")
        self._progress = progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = os.pread(self._number, min(len(buffer), self._end - self._at), self._at)
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        self._hash.update(chunk)
        self._progress(len(chunk))
        return len(chunk)

    def digest(self) -> str:
        return self._hash.hexdigest()

    @property
    def whole(self) -> bool:
        return self._at == self._end

    def close(self) -> None:
        if not self.closed:
            os.close(self._number)
        super().close()


class _Hashed(io.RawIOBase):
    """A reader that is hashed while it is read, if there is a digest to compare."""

    def __init__(self, below: IO[bytes], kind: str) -> None:
        self._below = below
        self._hash = hashlib.new(kind) if kind else None
        self._beyond = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._below.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._beyond += not chunk
        if self._beyond > _MOST_BEYOND:
            raise EOFError("it is truncated")
        if self._hash is not None:
            self._hash.update(chunk)
        return len(chunk)

    def digest(self) -> str:
        return self._hash.hexdigest() if self._hash is not None else ""


class _Xz(io.RawIOBase):
    """A reader that decompresses xz; unlike Python's own, it limits memory and supports padding.

    Source: the .xz file format, 2.2 "Stream Padding".
    """

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self._stream = self._new_stream()

    @staticmethod
    def _new_stream() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = b""
        while not chunk:
            packed = b""
            if self._stream.eof:
                packed = self._stream.unused_data
                while not (packed := packed.lstrip(b"\0")):
                    if not (packed := self._below.read(_CHUNK)):
                        return 0
                self._stream = self._new_stream()
            elif self._stream.needs_input and not (packed := self._below.read(_CHUNK)):
                raise EOFError("it is truncated")
            chunk = self._stream.decompress(packed, len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def decompressed(packed: Packed, progress: Progress = lambda _read: None) -> Iterator[IO[bytes]]:
    """Open the decompressed bytes; after the block, the rest is read, and the digests are compared.

    Raises:
        BadArchive: it is damaged, or does not match its digest.
    """
    with _Slice(packed, progress) as outer:
        try:
            plain = _Hashed(_decompress(io.BufferedReader(outer, _CHUNK)), packed.inner.partition(":")[0])
            yield cast(IO[bytes], io.BufferedReader(plain, _CHUNK))
            while plain.read(_CHUNK):
                pass
            while outer.read(_CHUNK):
                pass
        except _BROKEN as error:
            raise BadArchive(packed.label, f"it is damaged: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise BadArchive(packed.label, f"it is damaged: {error}") from error
        if not outer.whole:
            raise BadArchive(packed.label, "it was truncated while it was read")
        for label, wanted, actual in (("", packed.digest, outer.digest()), ("inner ", packed.inner, plain.digest())):
            if wanted and wanted.partition(":")[2] != actual:
                raise BadArchive(packed.label, f"its {label}digest is not {wanted}")


def _decompress(below: io.BufferedReader) -> IO[bytes]:
    """Return the decompressing reader for a stream, by its first bytes."""
    begins = below.peek(6)[:6]
    if begins.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], io.BufferedReader(_Xz(below), _CHUNK))
    if begins.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(below))
    if begins.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(below))
    if begins.startswith(b"\x28\xb5\x2f\xfd"):
        return cast(IO[bytes], zstd.module().open(below))
    return below


def digest_of(file: Path, kind: str) -> str:
    """Return the digest of a file in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()
