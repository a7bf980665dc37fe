"""The files of a package that may hold machine code, one after the other, as files that a reader can map.

A binary package may be hostile: its archive is read as a stream, nothing is laid under a name that it chooses, links
and devices are passed over, and there are limits on what comes out of it.

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
from gentoomuch_portage.binpkg.decompress import KINDS, Decoder
from gentoomuch_portage.binpkg.source import BadBinpkg

MOST_FILE = 512 << 20
"""Bytes of one file with code. The largest libraries of browsers have 250 MiB."""
MOST_UNPACKED = 32 << 30
"""Bytes of a whole package."""
_MOST_EXTENDED = 1 << 20
"""Bytes of an extended header of tar; a name is all that it should hold."""
_CHUNK = 1 << 20
_MAGIC_SIZE = max(map(len, MAGICS))
_BEGINS = {b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst", b"\x1f\x8b": ".gz", b"\xfd7zXZ": ".xz"}
_TAIL = 16


@dataclass(frozen=True, slots=True)
class Loose:
    """A file to examine."""

    name: str
    """Below the root."""
    path: Path
    """Where its content lies."""
    ours: bool
    """Whoever has examined it removes it."""


Found = Loose | Skipped


def of_binpkg(path: Path, folder: Path) -> Iterator[Found]:
    """The files of a binary package, gpkg or xpak.

    Args:
        folder: where files are laid, under numbers.

    Raises:
        BadBinpkg: it is none, is damaged, or breaks a limit.
    """
    try:
        with path.open("rb") as file:
            where = _gpkg_image(path, file) if path.name.endswith(".gpkg.tar") else _xpak_image(path, file)
            with tarfile.open(fileobj=_Image(path, file, *where), mode="r|", tarinfo=_Checked) as archive:
                yield from _of_archive(archive, folder)
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise BadBinpkg(path.name, f"its image is damaged ({error})") from error
    except Exception as error:  # what decompressors raise has no base in common
        if isinstance(error, BadBinpkg) or not _of_decompressor(error):
            raise
        raise BadBinpkg(path.name, f"its image is damaged ({error})") from error


def _of_decompressor(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {"zlib", "_lzma", "lzma", "backports", "compression", "_zstd"}


def of_files(paths: Iterable[Path], root: Path) -> Iterator[Found]:
    """Installed files; those that are gone, links and devices are passed over.

    Args:
        root: their names are told relative to it.
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
                yield Skipped(name, "this user may not read it")
                continue
            if begin.startswith(MAGICS):
                yield Loose(name, path, ours=False)


def _of_archive(archive: tarfile.TarFile, folder: Path) -> Iterator[Found]:
    for number, member in enumerate(archive):
        content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
        begin = content.read(_MAGIC_SIZE) if content else b""
        if content is None or not begin.startswith(MAGICS):
            continue
        name = _shown(member.name)
        if member.size > MOST_FILE:
            yield Skipped(name, f"it has {member.size >> 20} MiB")
            continue
        path = folder / str(number)
        with path.open("xb") as out:
            out.write(begin)
            while chunk := content.read(_CHUNK):
                out.write(chunk)
        yield Loose(name, path, ours=True)


def _shown(name: str) -> str:
    """A path of an archive as it is told, never as it is used: without the folder that all of them share."""
    name = "".join(sign if sign.isprintable() else "?" for sign in name[:4096])
    return name.removeprefix("./").removeprefix("image/").lstrip("/")


class _Checked(tarfile.TarInfo):
    """A header whose extended parts are short; tarfile itself would read them whole, whatever their size."""

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
    """A part of a file, unpacked as it is read; one stream behind the other, as pbzip2 and pzstd write them."""

    def __init__(self, path: Path, file: BinaryIO, start: int, size: int, kind: str) -> None:
        file.seek(start)
        self._path, self._file, self._left, self._make = path, file, size, KINDS[kind]
        self._decoder: Decoder | None = self._make() if self._make else None
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._step(len(buffer))
        self._total += len(found)
        if self._total > MOST_UNPACKED:
            raise BadBinpkg(self._path.name, f"its image has more than {MOST_UNPACKED >> 30} GiB")
        buffer[: len(found)] = found
        return len(found)

    def _step(self, length: int) -> bytes:
        """The next bytes; none only at the end."""
        if self._decoder is None:
            return self._packed(length)
        while True:
            fresh = b""
            if self._decoder.eof:
                fresh = self._decoder.unused_data or self._packed(_CHUNK)
                if not fresh:
                    return b""
                self._decoder = _made(self._make)
            elif self._decoder.needs_input:
                fresh = self._packed(_CHUNK)
                if not fresh:
                    raise EOFError("it is cut off")
            if found := self._decoder.decompress(fresh, length):
                return found

    def _packed(self, length: int) -> bytes:
        found = self._file.read(min(length, self._left))
        self._left -= len(found)
        return found


def _made(make: Callable[[], Decoder] | None) -> Decoder:
    assert make is not None
    return make()


def _gpkg_image(path: Path, file: BinaryIO) -> tuple[int, int, str]:
    """Where the image lies, and how it is compressed."""
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Checked) as outer:
        for member in outer:
            name = member.name.rpartition("/")[2]
            if member.isreg() and name.startswith("image.tar") and not name.endswith(".sig"):
                return member.offset_data, member.size, _known(path, name.removeprefix("image.tar"))
    raise BadBinpkg(path.name, "it holds no image")


def _xpak_image(path: Path, file: BinaryIO) -> tuple[int, int, str]:
    """The same of an xpak: all before the segment of metadata. Source: portage.xpak, ``tbz2.scan``."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    image = size - int.from_bytes(tail[8:12], "big") - 8
    if len(tail) < _TAIL or tail[:8] != b"XPAKSTOP" or tail[12:] != b"STOP" or image < 0:
        raise BadBinpkg(path.name, "it has no xpak at its end")
    file.seek(0)
    begin = file.read(_TAIL)
    return 0, image, next((kind for signs, kind in _BEGINS.items() if begin.startswith(signs)), "")


def _known(path: Path, kind: str) -> str:
    if kind not in KINDS:
        raise BadBinpkg(path.name, f"its image is compressed in a way that is not read here ({kind[:20]!r})")
    return kind
