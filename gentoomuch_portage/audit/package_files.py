# SPDX-License-Identifier: GPL-2.0-or-later
"""Extract the files of a package that may contain machine code.

A binary package may be hostile. Its archive is read as a stream, extracted files have numbers as names, links and
devices are skipped, and there are limits of size.

Source: GLEP 78; xpak(5); ``vdb``'s CONTENTS in PMS-related portage(5).
"""

import contextlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gentoomuch_portage.audit.report import Skipped
from gentoomuch_portage.audit.scan_file import MAGICS
from gentoomuch_portage.binpkg.decompress import DECODERS, Decoder
from gentoomuch_portage.binpkg.source import BadBinpkg

MOST_FILE = 512 << 20
"""Bytes of one file. The largest libraries of browsers have 250 MiB."""
MOST_UNPACKED = 32 << 30
"""Bytes of a whole package."""
_MOST_EXTENDED = 1 << 20
"""Bytes of an extended header of tar, which should only contain a name."""
_CHUNK = 1 << 20
_MAGIC_SIZE = max(map(len, MAGICS))
_BEGINS = {b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst", b"\x1f\x8b": ".gz", b"\xfd7zXZ": ".xz"}
_TAIL = 16


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file to scan."""

    name: str
    """Below the root."""
    path: Path
    """Its content."""
    temporary: bool
    """Whether it is removed after the scan."""


Entry = CodeFile | Skipped


def extract(path: Path, folder: Path) -> Iterator[Entry]:
    """Extract the files of a binary package, gpkg or xpak.

    Args:
        folder: for the extracted files, with numbers as names.

    Raises:
        BadBinpkg: it is not a package, is damaged, or exceeds a limit.
    """
    with open_archive(path) as archive:
        yield from _extract_archive(archive, folder)


@contextlib.contextmanager
def open_archive(path: Path, part: str = "image") -> Iterator[tarfile.TarFile]:
    """Open a part of a binary package as a stream, with limits of size.

    Args:
        part: ``image``, or ``metadata`` of a gpkg.

    Raises:
        BadBinpkg: it is not a package, is damaged, or exceeds a limit; also if that is found while it is read.
    """
    try:
        with path.open("rb") as file:
            where = _gpkg_part(path, file, part) if path.name.endswith(".gpkg.tar") else _xpak_image(path, file)
            with tarfile.open(fileobj=_Image(path, file, *where), mode="r|", tarinfo=_Checked) as archive:
                yield archive
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise BadBinpkg(path.name, f"its image is damaged ({error})") from error
    except Exception as error:  # errors of decompressors have no common base class
        if isinstance(error, BadBinpkg) or not _is_from_decompressor(error):
            raise
        raise BadBinpkg(path.name, f"its image is damaged ({error})") from error


def _is_from_decompressor(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {"zlib", "_lzma", "lzma", "backports", "compression", "_zstd"}


def find_code(paths: Iterable[Path], root: Path) -> Iterator[Entry]:
    """Find installed files with machine code; missing files, links and devices are skipped.

    Args:
        root: names are relative to it.
    """
    for path in paths:
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            try:
                if not stat.S_ISREG(path.lstat().st_mode):
                    continue
                with path.open("rb") as file:
                    begin = file.read(_MAGIC_SIZE)
            except PermissionError:
                yield Skipped(name, "this user cannot read it")
                continue
            if begin.startswith(MAGICS):
                yield CodeFile(name, path, temporary=False)


def _extract_archive(archive: tarfile.TarFile, folder: Path) -> Iterator[Entry]:
    for number, member in enumerate(archive):
        content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
        begin = content.read(_MAGIC_SIZE) if content else b""
        if content is None or not begin.startswith(MAGICS):
            continue
        name = _printable(member.name)
        if member.size > MOST_FILE:
            yield Skipped(name, f"it has {member.size >> 20} MiB")
            continue
        path = folder / str(number)
        with path.open("xb") as out:
            out.write(begin)
            while chunk := content.read(_CHUNK):
                out.write(chunk)
        yield CodeFile(name, path, temporary=True)


def _printable(name: str) -> str:
    """Return a path of an archive for messages only, without its common directory."""
    name = "".join(sign if sign.isprintable() else "?" for sign in name[:4096])
    return name.removeprefix("./").removeprefix("image/").lstrip("/")


class _Checked(tarfile.TarInfo):
    """A header with a limit for its extended parts, which tarfile would read completely, whatever their size."""

    def _proc_member(self, archive: Any) -> Any:
        extended = {
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        }
        if self.size < 0 or (self.type in extended and self.size > _MOST_EXTENDED):
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Image(io.RawIOBase):
    """A part of a file, decompressed while it is read; also several streams, as pbzip2 and pzstd write them."""

    def __init__(self, path: Path, file: BinaryIO, start: int, size: int, kind: str) -> None:
        file.seek(start)
        self._path, self._file, self._left, self._make = path, file, size, DECODERS[kind]
        self._decoder: Decoder | None = self._make() if self._make else None
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._step(len(buffer))
        self._total += len(chunk)
        if self._total > MOST_UNPACKED:
            raise BadBinpkg(self._path.name, f"its image has more than {MOST_UNPACKED >> 30} GiB")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _step(self, length: int) -> bytes:
        """Return the next bytes; empty at the end only."""
        if self._decoder is None:
            return self._packed(length)
        while True:
            fresh = b""
            if self._decoder.eof:
                fresh = self._decoder.unused_data or self._packed(_CHUNK)
                if not fresh:
                    return b""
                self._decoder = _create(self._make)
            elif self._decoder.needs_input:
                fresh = self._packed(_CHUNK)
                if not fresh:
                    raise EOFError("truncated")
            if chunk := self._decoder.decompress(fresh, length):
                return chunk

    def _packed(self, length: int) -> bytes:
        chunk = self._file.read(min(length, self._left))
        self._left -= len(chunk)
        return chunk


def _create(make: Callable[[], Decoder] | None) -> Decoder:
    assert make is not None
    return make()


def _gpkg_part(path: Path, file: BinaryIO, part: str) -> tuple[int, int, str]:
    """Find offset, size and compression of a part of a gpkg: ``image`` or ``metadata``."""
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Checked) as outer:
        for member in outer:
            name = member.name.rpartition("/")[2]
            if member.isreg() and name.startswith(f"{part}.tar") and not name.endswith(".sig"):
                return member.offset_data, member.size, _check_compression(path, name.removeprefix(f"{part}.tar"))
    raise BadBinpkg(path.name, f"it contains no {part}")


def _xpak_image(path: Path, file: BinaryIO) -> tuple[int, int, str]:
    """Find them for an xpak: everything before the metadata. Source: portage.xpak, ``tbz2.scan``."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    image = size - int.from_bytes(tail[8:12], "big") - 8
    if len(tail) < _TAIL or tail[:8] != b"XPAKSTOP" or tail[12:] != b"STOP" or image < 0:
        raise BadBinpkg(path.name, "it does not end with an xpak")
    file.seek(0)
    begin = file.read(_TAIL)
    return 0, image, next((kind for signs, kind in _BEGINS.items() if begin.startswith(signs)), "")


def _check_compression(path: Path, kind: str) -> str:
    if kind not in DECODERS:
        raise BadBinpkg(path.name, f"unsupported compression of its image ({kind[:20]!r})")
    return kind
