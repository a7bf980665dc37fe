"""The entries of a tar archive, each looked at before anything is done with it."""

import re
import tarfile
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NamedTuple, Self

from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.unpack.stream import Packed, Told, unpacked

_MOST_HEADER = 1 << 20
"""Bytes of a header's extension at most: a name, and the attributes of one file."""
_EXTENSIONS = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"K"}
_DEVICES = {
    "console": (5, 1), "full": (1, 7), "kmem": (1, 2), "mem": (1, 1), "null": (1, 3), "port": (1, 4), "ptmx": (5, 2),
    "random": (1, 8), "tty": (5, 0), "urandom": (1, 9), "zero": (1, 5),
}  # fmt: skip
"""Character devices that archives of whole systems hold; they are left out, for whoever starts a root gives it its own.

Source: the kernel's Documentation/admin-guide/devices.txt.
"""
_TERMINAL = re.compile(r"tty(S?)([0-9]{1,2})")
"""Consoles and serial lines; of the same source."""
BROKEN = (tarfile.TarError, ValueError, OverflowError, RecursionError)
"""What tarfile raises for headers that say what none should: numbers that are none, extensions of extensions."""
_MOST_NUMBER = (1 << 32) - 2
"""Of users and groups; one more means nobody in particular. Source: chown(2)."""
_MOST_TIME = 1 << 40
"""Seconds before or after 1970."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""Source: the OCI image specification, "Layer Filesystem Changeset"."""


class Entry(NamedTuple):
    """One entry, with its path taken apart."""

    path: tuple[str, ...]
    """Never empty, but for the root itself; no ``..``, no ``.``."""
    info: tarfile.TarInfo
    target: tuple[str, ...] = ()
    """Of a hard link, the path that it is a link to."""


class Strict(tarfile.TarInfo):
    """A header that is wrong is an error; tarfile takes one for the end of the archive, or reads as much as it says."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise BadArchive(tar.name or "the archive", f"it is damaged or cut off: {error}") from error

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.size < 0 or (self.type in _EXTENSIONS and self.size > _MOST_HEADER):
            raise BadArchive(tar.name or "the archive", f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


def read(packed: Packed, told: Told = lambda _read: None) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    """Each entry that is to be unpacked, with the content of a plain file, to be read before the next is taken.

    Raises:
        BadArchive: it is damaged, not what its digest says, or holds something that leads out of it or is a device.
    """
    links: set[tuple[str, ...]] = set()
    with unpacked(packed, told) as tape:
        try:
            with tarfile.open(packed.shown, "r|", tape, tarinfo=Strict, errorlevel=2) as tar:
                for info in tar:
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
                    entry = _checked(packed.shown, info, links)
                    if not _left_out(entry):
                        yield entry, tar.extractfile(info) if info.isreg() else None
        except BROKEN as error:
            raise BadArchive(packed.shown, f"it is damaged or cut off: {error}") from error


def check(packed: Packed, told: Told = lambda _read: None) -> int:
    """Read an archive to its end, and unpack nothing.

    Returns:
        How many bytes its files have.

    Raises:
        BadArchive: as ``read``.
    """
    return sum(entry.info.size for entry, _ in read(packed, told) if entry.info.isreg())


def _checked(where: str, info: tarfile.TarInfo, links: set[tuple[str, ...]]) -> Entry:
    path = _path(where, info.name)
    _sane(where, info)
    if any(path[:length] in links for length in range(1, len(path))):
        raise BadArchive(where, f"{info.name!r} goes through a link")
    links.discard(path)
    target: tuple[str, ...] = ()
    if info.issym():
        _inside(where, path, info)
        links.add(path)
    elif info.islnk():
        target = _path(where, info.linkname)
        if any(target[:length] in links for length in range(1, len(target) + 1)):
            raise BadArchive(where, f"{info.name!r} is a hard link through a link")
    elif not (info.isreg() or info.isdir() or info.isfifo() or _known(path, info)):
        raise BadArchive(where, f"{info.name!r} is a device, or nothing that is known")
    if not path and not info.isdir():
        raise BadArchive(where, f"{info.name!r} takes the place of the root")
    return Entry(path, info, target)


def _sane(where: str, info: tarfile.TarInfo) -> None:
    """Refuse what no system call takes."""
    for number in (info.uid, info.gid):
        if not 0 <= number <= _MOST_NUMBER:
            raise BadArchive(where, f"{info.name!r} belongs to the number {number}")
    when = moment(info)
    if not when.is_finite() or abs(when) > _MOST_TIME:
        raise BadArchive(where, f"{info.name!r} is of no time")
    if info.size < 0:
        raise BadArchive(where, f"{info.name!r} has {info.size} bytes")
    if "\0" in info.linkname or any("\0" in key for key in info.pax_headers):
        raise BadArchive(where, f"{info.name!r} has a NUL in a name")


def moment(info: tarfile.TarInfo) -> Decimal:
    """When it was changed last, in seconds; the extension of a header says it to the nanosecond."""
    try:
        return Decimal(info.pax_headers.get("mtime", "") or str(info.mtime))
    except InvalidOperation:
        return Decimal(0)


def _path(where: str, name: str) -> tuple[str, ...]:
    if name.startswith("/") or "\0" in name:
        raise BadArchive(where, f"{name!r} is no path within a root")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise BadArchive(where, f"{name!r} leads out of the root")
    return parts


def _inside(where: str, path: tuple[str, ...], info: tarfile.TarInfo) -> None:
    """A relative link stays in the root; an absolute one means the root's own ``/``, and is never followed by us."""
    deep = 0 if info.linkname.startswith("/") else len(path) - 1
    for part in info.linkname.split("/"):
        deep += -1 if part == ".." else part not in {"", "."}
        if deep < 0:
            raise BadArchive(where, f"{info.name!r} is a link out of the root, to {info.linkname!r}")


def _known(path: tuple[str, ...], info: tarfile.TarInfo) -> bool:
    """Whether a device is one of those that may be left out."""
    if not info.ischr() or len(path) != 2 or path[0] != "dev":
        return False
    numbers = (info.devmajor, info.devminor)
    if found := _TERMINAL.fullmatch(path[1]):
        return numbers == (4, int(found[2]) + (64 if found[1] else 0))
    return _DEVICES.get(path[1]) == numbers


def _left_out(entry: Entry) -> bool:
    return entry.info.ischr()
