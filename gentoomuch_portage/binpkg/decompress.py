"""Compressed bytes as a tape, unpacked as they are taken, and never more than a limit of them."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from gentoomuch_portage.binpkg.source import BadBinpkg, Source
from gentoomuch_portage.binpkg.tar import Section

MOST_UNPACKED = 32 << 20
"""Bytes of metadata at most, unpacked; real packages have 100 KiB to 2 MiB."""
_CHUNK = 64 << 10
_MOST_MEMORY = 80 << 20
"""Bytes for xz; ``xz -9`` needs 65 MiB."""
_WINDOW_LOG = 27
"""What zstd itself unpacks without being told to; 128 MiB, of which only what is unpacked is ever touched."""


class Decoder(Protocol):
    """What the decompressors of Python have in common."""

    @property
    def eof(self) -> bool:
        """Whether its stream has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether more can only come of more input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What followed the end of its stream."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Up to ``max_length`` bytes more."""
        ...


class _Gzip:
    """zlib in the manner of the others."""

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
        found = self._plain.decompress(self._plain.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length  # there may be more, though all input is taken in
        return found


def _zstd() -> Decoder:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        from backports import zstd
    decoder: Decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return decoder


KINDS: Mapping[str, Callable[[], Decoder] | None] = {
    "": None,
    ".zst": _zstd,
    ".gz": _Gzip,
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY),
}
"""How a name ends -> what unpacks it. Portage can write lz4, lzip and lzo, too; nobody does."""


class Unpacked:
    """A section of a source, unpacked."""

    def __init__(self, source: Source, packed: Section, kind: str) -> None:
        self.place = 0
        self._source, self._packed, self._make = source, packed, KINDS[kind]
        self._decoder: Decoder | None = None
        self._left = b""
        self._buffer = b""
        self._total = 0

    def take(self, length: int) -> bytes:
        """Exactly the next bytes."""
        parts = [self._buffer]
        held = len(self._buffer)
        while held < length:
            parts.append(self._more())
            held += len(parts[-1])
        joined = b"".join(parts)
        self._buffer = joined[length:]
        self.place += length
        return joined[:length]

    def skip(self, length: int) -> None:
        """Leave the next bytes out."""
        if length > MOST_UNPACKED:  # said at once: unpacking would find it out in the end
            raise self._too_much()
        while length > 0:
            length -= len(self.take(min(length, _CHUNK)))

    def finish(self) -> None:
        """Unpack what is left, so that the compressor's own checksums speak."""
        while self._packed.rest() or not self._ended():
            self._count(self._step())

    def _ended(self) -> bool:
        return self._decoder is None or (self._decoder.eof and not self._decoder.unused_data)

    def _more(self) -> bytes:
        """The next bytes, at least one."""
        found = b""
        while not found:
            found = self._step()
        return self._count(found)

    def _count(self, found: bytes) -> bytes:
        self._total += len(found)
        if self._total > MOST_UNPACKED:
            raise self._too_much()
        return found

    def _step(self) -> bytes:
        self._source.check_time()
        if self._make is None:
            return self._input()
        if self._decoder is None or self._decoder.eof:  # several streams may follow each other (pzstd, lbzip2)
            self._left = self._left if self._decoder is None else self._decoder.unused_data
            self._decoder = self._make()
        decoder = self._decoder
        data = b""
        if decoder.needs_input:
            data, self._left = self._left or self._input(), b""
        try:
            return decoder.decompress(data, _CHUNK)
        except Exception as error:  # each decoder has errors of its own, all about its data
            told = str(error)[:80] or type(error).__name__
            raise self._source.bad(f"its metadata cannot be unpacked ({told})") from error

    def _input(self) -> bytes:
        if not self._packed.rest():
            raise self._source.bad("its metadata is cut off")
        return self._packed.take(min(self._packed.rest(), _CHUNK))

    def _too_much(self) -> BadBinpkg:
        return self._source.bad(f"its metadata unpacks to more than {MOST_UNPACKED >> 20} MiB")
