# SPDX-License-Identifier: GPL-2.0-or-later
"""Validate the entries of a tar archive before they are used."""

import re
import tarfile
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NamedTuple, Self

from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.unpack.stream import Packed, Progress, decompressed

_MOST_HEADER = 1 << 20
"""Bytes of a header's extension: a name, and the attributes of one file."""
_EXTENSIONS = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"K"}
_DEVICES = {
    "console": (5, 1), "full": (1, 7), "kmem": (1, 2), "mem": (1, 1), "null": (1, 3), "port": (1, 4), "ptmx": (5, 2),
    "random": (1, 8), "tty": (5, 0), "urandom": (1, 9), "zero": (1, 5),
}  # fmt: skip
"""Character devices in archives of systems; they are skipped, as containers have a /dev of their own.

Source: the kernel's Documentation/admin-guide/devices.txt.
"""
_TERMINAL = re.compile(r"tty(S?)([0-9]{1,2})")
"""Consoles and serial lines; same source."""
BROKEN = (tarfile.TarError, ValueError, OverflowError, RecursionError)
"""Exceptions of tarfile for invalid headers: invalid numbers, nested extensions."""
_MOST_ID = (1 << 32) - 2
"""The highest user or group ID. Source: chown(2)."""
_MOST_TIME = 1 << 40
"""Seconds before or after 1970."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""Source: the OCI image specification, "Layer Filesystem Changeset"."""


class Entry(NamedTuple):
    """One entry, with the parts of its path."""

    path: tuple[str, ...]
    """Empty only for the root itself; without ``..`` and ``.``."""
    info: tarfile.TarInfo
    target: tuple[str, ...] = ()
    """The target of a hard link."""


class Strict(tarfile.TarInfo):
    """A header that raises errors; tarfile takes an invalid one for the end of the archive, or trusts its size."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise BadArchive(tar.name or "the archive", f"it is damaged or truncated: {error}") from error

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.size < 0 or (self.type in _EXTENSIONS and self.size > _MOST_HEADER):
            raise BadArchive(tar.name or "the archive", f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


def read(packed: Packed, progress: Progress = lambda _read: None) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """Yield each entry to unpack, and the content of a plain file, which has to be read before the next entry.

    Raises:
        BadArchive: the archive is damaged, does not match its digest, or contains a path out of the root or a device.
    """
    links: set[tuple[str, ...]] = set()
    with decompressed(packed, progress) as tape:
        try:
            with tarfile.open(packed.label, "r|", tape, tarinfo=Strict, errorlevel=2) as tar:
                for info in tar:
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
                    entry = _checked(packed.label, info, links)
                    if not _is_skipped(entry):
                        yield entry, tar.extractfile(info) if info.isreg() else None
        except BROKEN as error:
            raise BadArchive(packed.label, f"it is damaged or truncated: {error}") from error


def check(packed: Packed, progress: Progress = lambda _read: None) -> int:
    """Read and validate a whole archive without unpacking it.

    Returns:
        The size of its files in bytes.

    Raises:
        BadArchive: as ``read``.
    """
    return sum(entry.info.size for entry, _ in read(packed, progress) if entry.info.isreg())


def _checked(archive: str, info: tarfile.TarInfo, links: set[tuple[str, ...]]) -> Entry:
    path = _path(archive, info.name)
    _check_header(archive, info)
    if any(path[:length] in links for length in range(1, len(path))):
        raise BadArchive(archive, f"{info.name!r} is below a link")
    links.discard(path)
    target: tuple[str, ...] = ()
    if info.issym():
        _check_link(archive, path, info)
        links.add(path)
    elif info.islnk():
        target = _path(archive, info.linkname)
        if any(target[:length] in links for length in range(1, len(target) + 1)):
            raise BadArchive(archive, f"{info.name!r} is a hard link to a path below a link")
    elif not (info.isreg() or info.isdir() or info.isfifo() or _is_usual_device(path, info)):
        raise BadArchive(archive, f"{info.name!r} is a device, or has an unknown type")
    if not path and not info.isdir():
        raise BadArchive(archive, f"{info.name!r} replaces the root")
    return Entry(path, info, target)


def _check_header(archive: str, info: tarfile.TarInfo) -> None:
    """Reject values that no system call accepts."""
    for number in (info.uid, info.gid):
        if not 0 <= number <= _MOST_ID:
            raise BadArchive(archive, f"{info.name!r} has the invalid owner {number}")
    changed = modification_time(info)
    if not changed.is_finite() or abs(changed) > _MOST_TIME:
        raise BadArchive(archive, f"{info.name!r} has an invalid time")
    if info.size < 0:
        raise BadArchive(archive, f"{info.name!r} has {info.size} bytes")
    if "\0" in info.linkname or any("\0" in key for key in info.pax_headers):
        raise BadArchive(archive, f"{info.name!r} has a NUL in a name")


def modification_time(info: tarfile.TarInfo) -> Decimal:
    """Return the modification time in seconds; the extension of a header has nanoseconds."""
    try:
        return Decimal(info.pax_headers.get("mtime", "") or str(info.mtime))
    except InvalidOperation:
        return Decimal(0)


def _path(archive: str, name: str) -> tuple[str, ...]:
    if name.startswith("/") or "\0" in name:
        raise BadArchive(archive, f"{name!r} is not a relative path")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise BadArchive(archive, f"{name!r} leads out of the root")
    return parts


def _check_link(archive: str, path: tuple[str, ...], info: tarfile.TarInfo) -> None:
    """Reject a relative link out of the root; an absolute one starts at the root's ``/``, and is not followed here."""
    depth = 0 if info.linkname.startswith("/") else len(path) - 1
    for part in info.linkname.split("/"):
        depth += -1 if part == ".." else part not in {"", "."}
        if depth < 0:
            raise BadArchive(archive, f"{info.name!r} is a link out of the root, to {info.linkname!r}")


def _is_usual_device(path: tuple[str, ...], info: tarfile.TarInfo) -> bool:
    """Return whether an entry is a device that is skipped."""
    if not info.ischr() or len(path) != 2 or path[0] != "dev":
        return False
    numbers = (info.devmajor, info.devminor)
    if match := _TERMINAL.fullmatch(path[1]):
        return numbers == (4, int(match[2]) + (64 if match[1] else 0))
    return _DEVICES.get(path[1]) == numbers


def _is_skipped(entry: Entry) -> bool:
    return entry.info.ischr()
