"""Plain emerge, protected too: a set whose only purpose is that Portage imports its class before it resolves.

``etc/portage/sets.conf/gentoomuch.conf`` names ``Filter``. From then on plain emerge refuses binary packages that
this machine's CPU cannot run, and records in those that it builds what they need. A run of gm-emerge
for a profile has both already. Where gentoomuch is gone, Portage warns of the missing class and goes on.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

from portage._sets import SetConfigError
from portage._sets.base import EditablePackageSet

from gentoomuch_portage import needs, offers, requirement
from gentoomuch_portage.portage_adapter import binpkgs, front, held
from gentoomuch_portage.portage_adapter.binpkgs import Binpkg
from gentoomuch_portage.settings import Settings


class Filter(EditablePackageSet):  # type: ignore[misc]
    """An empty set."""

    _operations = ("merge",)
    description = "no packages: it lets gentoomuch refuse binary packages that this CPU cannot run"
    _as_long_as_emerge_runs = ExitStack()

    @classmethod
    def singleBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> Self:  # noqa: N802 - Portage's name
        """Switch the filter on, unless it is.

        Args:
            options: of the section: ``cpu``, a -march name or machine flags instead of the host's CFLAGS;
                ``unknown``, ``reject`` or ``accept``.

        Raises:
            SetConfigError: a name of Portage has moved; it is shown, and emerge goes on without the filter.
        """
        if not binpkgs.active():
            if gone := [one.name for one in held.moved()]:
                raise SetConfigError(f"Portage has moved {', '.join(gone)}: binary packages are not filtered")
            cls._switch_on(options, settings)
        return cls()

    @classmethod
    def _switch_on(cls, options: Mapping[str, str], settings: Any) -> None:
        ours = Settings.of(os.environ, eprefix=front.eprefix())
        told = options.get("cpu", "")
        cpu = f"-march={told}" if told and not told.startswith("-m") else told or settings.get("CFLAGS", "")
        flags = " ".join(requirement.machine_flags(cpu))
        unknown = options.get("unknown", "reject")

        def reject(binpkg: Binpkg) -> str | None:
            needed = offers.needed_by(binpkg, ours.cache)
            return requirement.judge(needed, offers.offered_by(flags, ours.cache), unknown=unknown).reason or None

        cls._as_long_as_emerge_runs.enter_context(binpkgs.recorded(requirement.RECORDED, needs.recording(ours.cache)))
        heading = f"CPU features; this machine has {flags or 'no -march'}"
        cls._as_long_as_emerge_runs.enter_context(binpkgs.sifted(reject, heading))

    def load(self) -> None:
        """Nothing is in it."""
        self._setAtoms([])
