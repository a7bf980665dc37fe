# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the metadata of a gpkg: a tar archive with gpkg-1, metadata.tar[.zst|...], signature, image and Manifest.

Source: GLEP 78; portage.gpkg of Portage 3.0.83.
"""

from collections.abc import Collection

from gentoomuch_portage.binpkg.decompress import DECODERS, DecompressedTape
from gentoomuch_portage.binpkg.environment import ENVIRONMENT, MAX_COMPRESSED, needs_environment, read_variables
from gentoomuch_portage.binpkg.source import MAX_READ, Source, read_value
from gentoomuch_portage.binpkg.tar import Section, read_members

_FORMAT = "gpkg-1"
_METADATA = "metadata.tar"
_MAX_BEFORE = 8
"""Maximum number of members before the metadata; Portage writes one."""


def read(source: Source, wanted: Collection[str]) -> dict[str, str]:
    """Read the requested files of metadata, stripped; files that the package lacks are omitted.

    Raises:
        BadBinpkg: it is not a gpkg, or exceeds a limit.
    """
    suffix, packed = _find_metadata(source)
    metadata: dict[str, str] = {}
    environment = 0, b""
    tape = DecompressedTape(source, packed, suffix)
    for name, size in read_members(tape, source.bad):
        folder, _, key = name.partition("/")
        if folder != "metadata" or not key or "/" in key:
            raise source.bad(f"its metadata contains {name[:60]!r}")
        if key == ENVIRONMENT:  # whether it is needed depends on later members
            environment = size, tape.take(size) if size <= MAX_COMPRESSED else b""
        elif key in wanted:
            metadata[key] = read_value(source, key, size, tape.take)
    tape.finish()
    if needs_environment(metadata, wanted):
        return read_variables(source, environment[0], lambda _: environment[1]) | metadata
    return metadata


def _find_metadata(source: Source) -> tuple[str, Section]:
    """Find the metadata: its compression suffix and its section."""
    outer = Section(source, 0, source.size)
    for number, (name, size) in enumerate(read_members(outer, source.bad)):
        member = name.rpartition("/")[2]
        if number == 0 and member != _FORMAT:
            raise source.bad(f"it does not begin with {_FORMAT}")
        if member.startswith(_METADATA) and not member.endswith(".sig"):
            suffix = member.removeprefix(_METADATA)
            if suffix not in DECODERS:
                raise source.bad(f"its metadata has an unsupported compression ({suffix[:20]!r})")
            if size > MAX_READ:
                raise source.bad(f"its metadata has {size} bytes")
            return suffix, Section(source, outer.place, size)
        if number > _MAX_BEFORE:
            break
    raise source.bad("it has no metadata")
