"""One file for each package name: all its entries, in the order of ``Packages``, with our keys."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.pkgindex import names, stamp, stanza
from gentoomuch_portage.pkgindex.names import Row
from gentoomuch_portage.pkgindex.stamp import FOLDER

_FIRST = b"gentoomuch-shard 1 %08x\n"
_LENGTH = len(_FIRST % 0)


def file(folder: Path, name: str) -> Path:
    """Where the shard of ``cat/pkg`` lies."""
    return folder / FOLDER / "by-name" / name


def packed(entries: Iterable[bytes]) -> bytes:
    """A shard: its first line says its version and the CRC-32 of what follows."""
    body = b"".join(entries)
    return _FIRST % zlib.crc32(body) + body


def unpacked(shard: bytes, where: str = "a shard") -> bytes:
    """The entries of a shard, one after the other.

    Raises:
        BadIndex: it is damaged, or of another version.
    """
    body = shard[_LENGTH:]
    if shard[:_LENGTH] != _FIRST % zlib.crc32(body):
        raise stanza.BadIndex(where, "it is damaged or of another version")
    return body


def body(folder: Path, name: str) -> bytes:
    """The entries of ``cat/pkg``; empty where there are none.

    Raises:
        BadIndex: the file is damaged.
        OSError: it cannot be read.
    """
    where = file(folder, name)
    try:
        return unpacked(where.read_bytes(), str(where))
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except stanza.BadIndex as error:
        raise stanza.BadIndex(str(where), error.why, remedy=stamp.anew(folder)) from error


def entries(folder: Path, name: str) -> list[bytes]:
    """The entries of ``cat/pkg`` one by one; raises as ``body`` does."""
    return list(stanza.each(body(folder, name)))


def crc(entries: Iterable[bytes]) -> str:
    """CRC-32 of entries as they stand in ``Packages``, in hex."""
    return f"{zlib.crc32(b''.join(map(stanza.plain, entries))):08x}"


def write(folder: Path, name: str, entries: Sequence[bytes]) -> Row:
    """Put a shard in its place, or remove it where nothing is in it; its row among the names."""
    target = file(folder, name)
    if not entries:
        target.unlink(missing_ok=True)
        return names.gone(name)
    content = packed(entries)
    files.write(target, content, durable=False)
    first = stanza.cpv(entries[0]).decode("utf-8", "replace")
    return Row(name, first, crc(entries), hashlib.sha256(content).hexdigest(), len(content))
