"""How a make_profile wants a root to be laid out."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple


class Arrangement(NamedTuple):
    """What of the layout a make_profile decides."""

    merged: bool
    """Whether /bin, /sbin and /lib* are links into /usr."""
    libraries: tuple[str, ...]
    """Folders of libraries by their names in /usr, ``lib`` first."""


def arrangement(configroot: Path) -> Arrangement:
    """Ask Portage what a composed configroot says.

    Source: USE=split-usr, which the make_profiles below ``split-usr`` force; LIBDIR_* of multilib.eclass.
    """
    import portage

    with contextlib.redirect_stderr(io.StringIO()):
        found = portage.config(config_root=str(configroot), target_root="/", env={})
    abis = (found.get("MULTILIB_ABIS") or found.get("DEFAULT_ABI") or "").split()
    named = sorted(found.get(f"LIBDIR_{abi}", "") or "lib" for abi in abis)
    return Arrangement(
        merged="split-usr" not in found.get("USE", "").split(), libraries=tuple(dict.fromkeys(("lib", *named)))
    )
