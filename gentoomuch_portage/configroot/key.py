"""What a configroot is made of; equal recipes make equal configroots while their files are equal."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import __version__
from gentoomuch_portage.plan.plan import File, Layer, Line, MakeProfile, Part, Patches

_FORMAT = "4"
"""Of what is remembered of a recipe: another one is remembered beside it."""


class Recipe(NamedTuple):
    """What a configroot is made of."""

    host: Path
    """The host's etc/portage."""
    base: str
    """``host`` or ``none``."""
    config: Path
    """The configuration directory; no link of a layer may lead out of it."""
    parts: tuple[tuple[str, Part], ...]
    building: bool = False
    """For the packages that a foreign root's profile installs in ``/`` for building."""

    @property
    def digest(self) -> str:
        """What it is remembered by."""
        said = [__version__, _FORMAT, self.base, str(self.host), str(self.config), str(self.building)]
        said += [
            f"{type(part).__name__} {part}"
            for _, part in self.parts
            if isinstance(part, Layer | Patches | File | Line | MakeProfile)
        ]
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:24]
