"""What a package tells of itself beyond what ``Packages`` has: read once, when it comes into an index."""

import os
from collections.abc import Mapping
from pathlib import Path

from gentoomuch_portage import binpkgs, needs
from gentoomuch_portage.binpkgs.environment import ENVIRONMENT
from gentoomuch_portage.binpkgs.source import BadBinpkg, Source
from gentoomuch_portage.portage_adapter.binpkgs import BUILT_FOR, RECORDED
from gentoomuch_portage.portage_adapter.trees import NAME as DOTGENTOO
from gentoomuch_portage.portage_adapter.userpatches import NAMED

KEYS = (RECORDED, NAMED, DOTGENTOO, BUILT_FOR, *(one for one in needs.VARIABLES if one != "CHOST"))
"""Files of metadata; CHOST is in ``Packages``."""


def told(file: Path) -> Mapping[str, str]:
    """File of metadata -> text, of ``KEYS`` those that it has; nothing where it is no package that can be read."""
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            source = Source(str(file), size, lambda at, length: os.pread(opened.fileno(), length, at))
            return binpkgs.read(source, (*KEYS, ENVIRONMENT))
    except (OSError, BadBinpkg):
        return {}
