# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of a configroot, and the key of its cache entry."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import __version__
from gentoomuch_portage.plan.plan import File, Layer, Line, MakeProfile, Part, Patches, Unmask

_FORMAT = "8"
"""Version of a cache entry."""

MOVED = ".moved"
"""A file in etc/portage of a configroot: a JSON object, old atom -> new atom. Portage does not read it."""


class Recipe(NamedTuple):
    """The inputs of a configroot. Equal recipes and files give equal configroots."""

    host: Path
    """The host's etc/portage."""
    base: str
    """``host`` or ``none``."""
    config: Path
    """The configuration directory; a link of a layer must not lead out of it."""
    parts: tuple[tuple[str, Part], ...]
    building: bool = False
    """For packages that a profile with another root installs in ``/`` as build dependencies."""

    @property
    def digest(self) -> str:
        """The key of its cache entry."""
        fields = [__version__, _FORMAT, self.base, str(self.host), str(self.config), str(self.building)]
        fields += [
            f"{type(part).__name__} {part}"
            for _, part in self.parts
            if isinstance(part, Layer | Patches | File | Line | MakeProfile | Unmask)
        ]
        return hashlib.sha256("\0".join(fields).encode()).hexdigest()[:24]
