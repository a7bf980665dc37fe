# SPDX-License-Identifier: GPL-2.0-or-later
"""Decompress bytes as they are read, up to a limit."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from gentoomuch_portage import zstd
from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.binpkg.tar import Section

MAX_DECOMPRESSED = 32 << 20
"""Maximum bytes of decompressed metadata; real packages have 100 KiB to 2 MiB."""
_CHUNK = 64 << 10
_MAX_MEMORY = 80 << 20
"""Maximum bytes of memory for xz; ``xz -9`` needs 65 MiB."""
_WINDOW_LOG = 27
"""The largest window that zstd decompresses by default: 128 MiB, allocated only as far as it is used."""


class Decoder(Protocol):
    """The common interface of Python's decompressors."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether more output needs more input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The data after the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return up to ``max_length`` more bytes."""
        ...


class _Gzip:
    """zlib with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._plain = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._plain.eof

    @property
    def needs_input(self) -> bool:
        return not (self._plain.unconsumed_tail or self._full or self._plain.eof)

    @property
    def unused_data(self) -> bytes:
        return self._plain.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        output = self._plain.decompress(self._plain.unconsumed_tail + data, max_length)
        self._full = len(output) == max_length  # there may be more output though all input was consumed
        return output


def _zstd() -> Decoder:
    module = zstd.module()
    decoder: Decoder = module.ZstdDecompressor(options={module.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return decoder


DECODERS: Mapping[str, Callable[[], Decoder] | None] = {
    "": None,
    ".zst": _zstd,
    ".gz": _Gzip,
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MAX_MEMORY),
}
"""File name suffix -> decompressor. Portage can also write lz4, lzip and lzo, which are not used in practice."""


class DecompressedTape:
    """A section of a source, read decompressed."""

    def __init__(self, source: Source, packed: Section, kind: str) -> None:
        self.place = 0
        self._source, self._packed, self._make = source, packed, DECODERS[kind]
        self._decoder: Decoder | None = None
        self._left = b""
        self._buffer = b""
        self._total = 0

    def take(self, length: int) -> bytes:
        """Return exactly the next bytes."""
        parts = [self._buffer]
        available = len(self._buffer)
        while available < length:
            parts.append(self._more())
            available += len(parts[-1])
        joined = b"".join(parts)
        self._buffer = joined[length:]
        self.place += length
        return joined[:length]

    def skip(self, length: int) -> None:
        """Skip the next bytes."""
        if length > MAX_DECOMPRESSED:  # fail early, not after decompressing
            raise self._too_much()
        while length > 0:
            length -= len(self.take(min(length, _CHUNK)))

    def finish(self) -> None:
        """Decompress the rest, so that the checksums of the compressor are verified."""
        while self._packed.rest() or not self._ended():
            self._count(self._step())

    def _ended(self) -> bool:
        return self._decoder is None or (self._decoder.eof and not self._decoder.unused_data)

    def _more(self) -> bytes:
        """Return the next bytes, at least one."""
        output = b""
        while not output:
            output = self._step()
        return self._count(output)

    def _count(self, output: bytes) -> bytes:
        self._total += len(output)
        if self._total > MAX_DECOMPRESSED:
            raise self._too_much()
        return output

    def _step(self) -> bytes:
        self._source.check_time()
        if self._make is None:
            return self._input()
        if self._decoder is None or self._decoder.eof:  # there may be several streams (pzstd, lbzip2)
            self._left = self._left if self._decoder is None else self._decoder.unused_data
            self._decoder = self._make()
        decoder = self._decoder
        data = b""
        if decoder.needs_input:
            data, self._left = self._left or self._input(), b""
        try:
            return decoder.decompress(data, _CHUNK)
        except Exception as error:  # each decoder raises its own classes, all for invalid data
            reason = str(error)[:80] or type(error).__name__
            raise self._source.bad(f"cannot decompress its metadata ({reason})") from error

    def _input(self) -> bytes:
        if not self._packed.rest():
            raise self._source.bad("its metadata is truncated")
        return self._packed.take(min(self._packed.rest(), _CHUNK))

    def _too_much(self) -> BadBinpkg:
        return self._source.bad(f"its metadata decompresses to more than {MAX_DECOMPRESSED >> 20} MiB")
