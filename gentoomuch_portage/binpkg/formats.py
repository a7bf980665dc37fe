"""Binary packages, local and remote: what they tell of themselves, read safely and no more of it than needed.

``read`` is the one way in for their content; ``reader.Reader`` adds files, binhosts and a memory.
"""

from collections.abc import Collection

from gentoomuch_portage.binpkg import gpkg, xpak
from gentoomuch_portage.binpkg.source import BadBinpkg, Source

__all__ = ["BadBinpkg", "Source", "read"]


def read(source: Source, wanted: Collection[str]) -> dict[str, str]:
    """The files of metadata that are wanted, stripped; those that the package lacks are left out.

    Raises:
        BadBinpkg: it is no binary package, a damaged or a hostile one.
    """
    name = source.name.lower()
    if name.endswith(".gpkg.tar"):
        return gpkg.read(source, wanted)
    if name.endswith((".tbz2", ".xpak")):
        return xpak.read(source, wanted)
    raise source.bad("its name ends neither in .gpkg.tar nor in .tbz2 or .xpak")
