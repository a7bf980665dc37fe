# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the metadata of an xpak: the segment after the image, XPAKPACK, lengths, index, data, XPAKSTOP, length, STOP.

Source: xpak(5) and portage.xpak of Portage 3.0.83. All numbers have 4 bytes, most significant first.
"""

from collections.abc import Collection, Iterator
from functools import partial

from gentoomuch_portage.binpkg.environment import ENVIRONMENT, needs_environment, read_variables
from gentoomuch_portage.binpkg.source import FIRST_READ, MAX_MEMBERS, Source, read_value

_HEADER = 16
_TRAILER = 16
_STOP = 8
"""Length of XPAKSTOP in bytes."""
_MAX_INDEX = 256 << 10
"""Maximum bytes of the index; real packages have 1 to 2 KiB."""
_MAX_NAME = 255


def read(source: Source, wanted: Collection[str]) -> dict[str, str]:
    """Read the requested files of metadata, stripped; files that the package lacks are omitted.

    The end is read first. Names in capitals come first in index and data, so one more read at the beginning of a
    longer segment gets all flags.

    Raises:
        BadBinpkg: it is not an xpak, or exceeds a limit.
    """
    start, size = _find_segment(source)
    header = source.at(start, _HEADER)
    index_size, data_size = _number(header[8:12]), _number(header[12:16])
    if header[:8] != b"XPAKPACK" or index_size + data_size + _HEADER + _STOP != size:
        raise source.bad("its xpak segment is damaged")
    if index_size > _MAX_INDEX:
        raise source.bad(f"the index of its xpak segment has {index_size} bytes")
    data = start + _HEADER + index_size
    metadata: dict[str, str] = {}
    environment = 0, 0
    for name, offset, length in _entries(source, source.at(start + _HEADER, index_size)):
        if offset + length > data_size:
            raise source.bad(f"{name[:60]!r} exceeds its xpak segment")
        if name == ENVIRONMENT:
            environment = data + offset, length
        elif name in wanted:
            metadata[name] = read_value(source, name, length, partial(source.at, data + offset))
    if needs_environment(metadata, wanted):
        return read_variables(source, environment[1], partial(source.at, environment[0])) | metadata
    return metadata


def _find_segment(source: Source) -> tuple[int, int]:
    """Find the segment: its start and its length."""
    if source.size < _HEADER + _TRAILER:
        raise source.bad("it is truncated")
    source.at(max(0, source.size - FIRST_READ), min(FIRST_READ, source.size))
    trailer = source.at(source.size - _TRAILER, _TRAILER)
    if trailer[:8] != b"XPAKSTOP" or trailer[12:] != b"STOP":
        raise source.bad("it has no xpak segment at its end")
    size = _number(trailer[8:12])
    start = source.size - (_TRAILER - _STOP) - size
    if size < _HEADER + _STOP or start < 0:
        raise source.bad("the length of its xpak segment is wrong")
    return start, size


def _entries(source: Source, index: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and length of each file."""
    place = 0
    seen: set[str] = set()
    for _ in range(MAX_MEMBERS):
        if place == len(index):
            return
        length = _number(index[place : place + 4])
        end = place + 4 + length
        if length > _MAX_NAME or end + 8 > len(index):
            raise source.bad("the index of its xpak segment is damaged")
        name = index[place + 4 : end].decode("utf-8", "replace")
        if not name.isprintable() or "/" in name or name in {"", ".", ".."}:
            raise source.bad(f"it contains a file named {name[:60]!r}")
        if name in seen:
            raise source.bad(f"it contains {name[:60]!r} twice")
        seen.add(name)
        yield name, _number(index[end : end + 4]), _number(index[end + 4 : end + 8])
        place = end + 8
    raise source.bad(f"it contains more than {MAX_MEMBERS} files")


def _number(field: bytes) -> int:
    return int.from_bytes(field, "big")
