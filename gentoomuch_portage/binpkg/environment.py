"""Flags of Rust, Go and Fortran out of the environment that Portage saves of a build: no other file tells them."""

import bz2
from collections.abc import Callable, Collection, Mapping

from gentoomuch_portage.binpkg.source import MOST_VALUE, Source
from gentoomuch_portage.isa import languages
from gentoomuch_portage.portage_adapter.binpkg import RECORDED

ENVIRONMENT = "environment.bz2"
MOST_PACKED = 1 << 20
"""Bytes; real packages have 10 to 100 KiB."""
MOST_UNPACKED = 16 << 20
"""Bytes; real packages have 50 KiB to 1 MiB."""
_CHUNK = 1 << 20


def asked(found: Mapping[str, str], wanted: Collection[str]) -> bool:
    """Whether a package has to be asked for its environment, by all else that it has told."""
    return ENVIRONMENT in wanted and RECORDED not in found and languages.lost(found.get("INHERITED", ""))


def variables(source: Source, size: int, take: Callable[[int], bytes]) -> dict[str, str]:
    """Of ``isa.languages.LOST`` what the environment exports.

    Args:
        size: of the file, packed; 0 where there is none.
        take: gives its bytes; not called where they are too many.

    Raises:
        BadBinpkg: it is damaged, too long, or tells what no variable holds.
    """
    if size > MOST_PACKED:
        raise source.bad(f"its environment has {size} bytes")
    told = languages.exported(_unpacked(source, take(size)).decode("utf-8", "replace"))
    found = {name: told[name].strip() for name in languages.LOST if name in told}
    for name, value in found.items():
        if len(value) > MOST_VALUE or not value.replace("\n", " ").replace("\t", " ").isprintable():
            raise source.bad(f"its {name} holds control characters or is too long")
    return found


def _unpacked(source: Source, packed: bytes) -> bytes:
    """Any number of bzip2 streams, as pbzip2 makes them."""
    parts, total = [], 0
    while packed:
        decoder = bz2.BZ2Decompressor()
        while not decoder.eof:
            source.check_time()
            if decoder.needs_input and not packed:
                raise source.bad("its environment is cut off")
            try:
                parts.append(decoder.decompress(packed, _CHUNK))
            except (OSError, ValueError) as error:
                raise source.bad("its environment cannot be unpacked") from error
            packed, total = b"", total + len(parts[-1])
            if total > MOST_UNPACKED:
                raise source.bad(f"its environment unpacks to more than {MOST_UNPACKED >> 20} MiB")
        packed = decoder.unused_data
    return b"".join(parts)
