# SPDX-License-Identifier: GPL-2.0-or-later
"""Read flags of Rust, Go and Fortran from the environment that Portage saves; no other file of a package has them."""

import bz2
from collections.abc import Callable, Collection, Mapping

from gentoomuch_portage.binpkg.source import MAX_VALUE, Source
from gentoomuch_portage.isa import variables as isa_variables
from gentoomuch_portage.portage_adapter.binpkg import RECORDED

ENVIRONMENT = "environment.bz2"
MAX_COMPRESSED = 1 << 20
"""Bytes; real packages have 10 to 100 KiB."""
MAX_DECOMPRESSED = 16 << 20
"""Bytes; real packages have 50 KiB to 1 MiB."""
_CHUNK = 1 << 20


def needs_environment(metadata: Mapping[str, str], wanted: Collection[str]) -> bool:
    """Check whether the environment of a package must be read, given its other metadata."""
    return (
        ENVIRONMENT in wanted
        and RECORDED not in metadata
        and isa_variables.has_unrecorded_flags(metadata.get("INHERITED", ""))
    )


def read_variables(source: Source, size: int, take: Callable[[int], bytes]) -> dict[str, str]:
    """Read the variables of ``isa.variables.UNRECORDED`` that the environment exports.

    Args:
        size: of the compressed file; 0 if it is missing.
        take: returns its bytes; not called for a file over the limit.

    Raises:
        BadBinpkg: it is damaged, too long, or has invalid values.
    """
    if size > MAX_COMPRESSED:
        raise source.bad(f"its environment has {size} bytes")
    exported = isa_variables.parse_environment(_decompress(source, take(size)).decode("utf-8", "replace"))
    variables = {name: exported[name].strip() for name in isa_variables.UNRECORDED if name in exported}
    for name, value in variables.items():
        if len(value) > MAX_VALUE or not value.replace("\n", " ").replace("\t", " ").isprintable():
            raise source.bad(f"its {name} holds control characters or is too long")
    return variables


def _decompress(source: Source, packed: bytes) -> bytes:
    """Decompress any number of bzip2 streams, as pbzip2 writes them."""
    parts, total = [], 0
    while packed:
        decoder = bz2.BZ2Decompressor()
        while not decoder.eof:
            source.check_time()
            if decoder.needs_input and not packed:
                raise source.bad("its environment is truncated")
            try:
                parts.append(decoder.decompress(packed, _CHUNK))
            except (OSError, ValueError) as error:
                raise source.bad("cannot decompress its environment") from error
            packed, total = b"", total + len(parts[-1])
            if total > MAX_DECOMPRESSED:
                raise source.bad(f"its environment decompresses to more than {MAX_DECOMPRESSED >> 20} MiB")
        packed = decoder.unused_data
    return b"".join(parts)
