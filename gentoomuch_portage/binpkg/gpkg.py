"""Metadata out of a gpkg: a tar archive that holds gpkg-1, metadata.tar[.zst|...], a signature, the image, a Manifest.

Source: GLEP 78; portage.gpkg of Portage 3.0.83.
"""

from collections.abc import Collection

from gentoomuch_portage.binpkg.decompress import KINDS, Unpacked
from gentoomuch_portage.binpkg.environment import ENVIRONMENT, MOST_PACKED, asked, variables
from gentoomuch_portage.binpkg.source import MOST_READ, Source, value
from gentoomuch_portage.binpkg.tar import Section, members

_FORMAT = "gpkg-1"
_METADATA = "metadata.tar"
_MOST_BEFORE = 8
"""Members before the metadata at most; Portage writes one."""


def read(source: Source, wanted: Collection[str]) -> dict[str, str]:
    """The files of metadata that are wanted, stripped; those that it lacks are left out.

    Raises:
        BadBinpkg: it is none, or breaks a limit.
    """
    kind, packed = _metadata(source)
    found: dict[str, str] = {}
    environment = 0, b""
    tape = Unpacked(source, packed, kind)
    for name, size in members(tape, source.bad):
        folder, _, key = name.partition("/")
        if folder != "metadata" or not key or "/" in key:
            raise source.bad(f"its metadata holds {name[:60]!r}")
        if key == ENVIRONMENT:  # whether it is wanted is known in the end: the order is none
            environment = size, tape.take(size) if size <= MOST_PACKED else b""
        elif key in wanted:
            found[key] = value(source, key, size, tape.take)
    tape.finish()
    if asked(found, wanted):
        return variables(source, environment[0], lambda _: environment[1]) | found
    return found


def _metadata(source: Source) -> tuple[str, Section]:
    """How the metadata is compressed, and where it lies."""
    outer = Section(source, 0, source.size)
    for number, (name, size) in enumerate(members(outer, source.bad)):
        member = name.rpartition("/")[2]
        if number == 0 and member != _FORMAT:
            raise source.bad(f"it does not begin with {_FORMAT}")
        if member.startswith(_METADATA) and not member.endswith(".sig"):
            kind = member.removeprefix(_METADATA)
            if kind not in KINDS:
                raise source.bad(f"its metadata is compressed in a way that is not read here ({kind[:20]!r})")
            if size > MOST_READ:
                raise source.bad(f"its metadata has {size} bytes")
            return kind, Section(source, outer.place, size)
        if number > _MOST_BEFORE:
            break
    raise source.bad("it holds no metadata")
