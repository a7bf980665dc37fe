# SPDX-License-Identifier: GPL-2.0-or-later
"""Read metadata of a binary package of either format: gpkg or xpak."""

from collections.abc import Collection

from gentoomuch_portage.binpkg import gpkg, xpak
from gentoomuch_portage.binpkg.source import BadBinpkg, Source

__all__ = ["BadBinpkg", "Source", "read"]


def read(source: Source, wanted: Collection[str]) -> dict[str, str]:
    """Read the requested files of metadata, stripped; files that the package lacks are omitted.

    Raises:
        BadBinpkg: it is not a binary package, or a damaged or hostile one.
    """
    name = source.name.lower()
    if name.endswith(".gpkg.tar"):
        return gpkg.read(source, wanted)
    if name.endswith((".tbz2", ".xpak")):
        return xpak.read(source, wanted)
    raise source.bad("its name ends neither in .gpkg.tar nor in .tbz2 or .xpak")
