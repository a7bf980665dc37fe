"""Packed bytes, read in one go and held to their digests."""

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

from gentoomuch_portage.roots.errors import BadArchive

Told = Callable[[int], object]
"""Hears how many packed bytes were read since."""
_CHUNK = 1 << 20
_MOST_MEMORY = 512 << 20
"""Bytes for unpacking xz; its own strongest setting wants 65 MiB."""
_MOST_BEYOND = 100
"""Reads behind the end; tarfile goes on with them for as many bytes as a header says."""
_BROKEN = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


class Packed(NamedTuple):
    """A tar archive, packed or not: a file or a part of one."""

    file: str
    offset: int
    size: int
    digest: str = ""
    """``sha256:HEX`` of the packed bytes; empty where nothing is known of them."""
    inner: str = ""
    """The same of the unpacked ones."""
    name: str = ""
    """For people; the file's name where empty."""

    @property
    def shown(self) -> str:
        """What errors call it."""
        return self.name or self.file


class _Slice(io.RawIOBase):
    """A part of a file, hashed as it is read."""

    def __init__(self, packed: Packed, told: Told) -> None:
        self._number = os.open(packed.file, os.O_RDONLY | os.O_CLOEXEC)
        self._at, self._end = packed.offset, packed.offset + packed.size
        self._hash = hashlib.new(packed.digest.partition(":")[0] or "sha256")
        self._told = told

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = os.pread(self._number, min(len(buffer), self._end - self._at), self._at)
        buffer[: len(found)] = found
        self._at += len(found)
        self._hash.update(found)
        self._told(len(found))
        return len(found)

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
    """A reader, hashed as it is read; without a digest to hold it to, just a reader."""

    def __init__(self, below: IO[bytes], kind: str) -> None:
        self._below = below
        self._hash = hashlib.new(kind) if kind else None
        self._beyond = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._below.read(len(buffer))
        buffer[: len(found)] = found
        self._beyond += not found
        if self._beyond > _MOST_BEYOND:
            raise EOFError("it is cut off")
        if self._hash is not None:
            self._hash.update(found)
        return len(found)

    def digest(self) -> str:
        return self._hash.hexdigest() if self._hash is not None else ""


class _Xz(io.RawIOBase):
    """What unpacks xz; unlike Python's own it wants no more memory than there should be, and knows padding.

    Source: the .xz file format, 2.2 "Stream Padding".
    """

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self._stream = self._another()

    @staticmethod
    def _another() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = b""
        while not found:
            given = b""
            if self._stream.eof:
                given = self._stream.unused_data
                while not (given := given.lstrip(b"\0")):
                    if not (given := self._below.read(_CHUNK)):
                        return 0
                self._stream = self._another()
            elif self._stream.needs_input and not (given := self._below.read(_CHUNK)):
                raise EOFError("it is cut off")
            found = self._stream.decompress(given, len(buffer))
        buffer[: len(found)] = found
        return len(found)


@contextmanager
def unpacked(packed: Packed, told: Told = lambda _read: None) -> Iterator[IO[bytes]]:
    """The unpacked bytes; at the end of the block the rest is read, and the digests have to hold.

    Raises:
        BadArchive: it is damaged, or not what its digest says.
    """
    with _Slice(packed, told) as outer:
        try:
            plain = _Hashed(_opened(io.BufferedReader(outer, _CHUNK)), packed.inner.partition(":")[0])
            yield cast(IO[bytes], io.BufferedReader(plain, _CHUNK))
            while plain.read(_CHUNK):
                pass
            while outer.read(_CHUNK):
                pass
        except _BROKEN as error:
            raise BadArchive(packed.shown, f"it is damaged: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise BadArchive(packed.shown, f"it is damaged: {error}") from error
        if not outer.whole:
            raise BadArchive(packed.shown, "it became shorter while it was read")
        for what, wanted, found in (("", packed.digest, outer.digest()), ("unpacked ", packed.inner, plain.digest())):
            if wanted and wanted.partition(":")[2] != found:
                raise BadArchive(packed.shown, f"its {what}bytes are not those of {wanted}")


def _opened(below: io.BufferedReader) -> IO[bytes]:
    """What unpacks a stream, by its first bytes."""
    begins = below.peek(6)[:6]
    if begins.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], io.BufferedReader(_Xz(below), _CHUNK))
    if begins.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(below))
    if begins.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(below))
    if begins.startswith(b"\x28\xb5\x2f\xfd"):
        return cast(IO[bytes], zstd().open(below))
    return below


def zstd() -> Any:
    """The module; of Python itself since 3.14."""
    try:
        from compression import zstd as found  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        from backports import zstd as found
    return found


def digest_of(file: Path, kind: str) -> str:
    """The digest of a whole file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()
