"""Plain emerge, protected too: a set whose only purpose is that Portage imports its class before it resolves.

``etc/portage/sets.conf/gentoomuch.conf`` names ``Filter``. From then on plain emerge refuses binary packages that
this machine's CPU cannot run, and records in those that it builds what they need. A run of gm-emerge
for a profile has both already. Where gentoomuch is gone, Portage warns of the missing class and goes on.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack

from gentoomuch_portage import needs, offers, requirement
from gentoomuch_portage.abis import Abi
from gentoomuch_portage.portage_adapter import binpkgs, front, sifting, userpatches
from gentoomuch_portage.portage_adapter.binpkgs import Binpkg
from gentoomuch_portage.portage_adapter.emptyset import EmptySet
from gentoomuch_portage.settings import Settings


class Filter(EmptySet):
    """Refuses binary packages that this CPU cannot run."""

    description = "gentoomuch's filter of binary packages (no packages in it)"
    _as_long_as_emerge_runs = ExitStack()

    @classmethod
    def begin(cls, options: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Switch the filter on, unless it is.

        Args:
            options: ``cpu``, a -march name or machine flags instead of the host's CFLAGS; ``unknown``,
                ``reject`` or ``accept``.
        """
        if sifting.active():
            return
        ours = Settings.of(os.environ, eprefix=front.eprefix())
        told = options.get("cpu", "")
        cpu = f"-march={told}" if told and not told.startswith("-m") else told or values["CFLAGS"]
        flags = " ".join(requirement.machine_flags(cpu))
        unknown = options.get("unknown", "reject")
        abi = Abi(values["CHOST"], values["ELIBC"], tuple(values["ACCEPT_CHOSTS"].split()))

        def reject(binpkg: Binpkg) -> str | None:
            return offers.runs(binpkg, flags, abi, ours, unknown=unknown).reason or None

        held = cls._as_long_as_emerge_runs
        held.enter_context(userpatches.mended())
        held.enter_context(userpatches.named())
        held.enter_context(binpkgs.recorded(needs.recording(ours.cache)))
        held.enter_context(sifting.sifted(reject, f"CPU features; this machine has {flags or 'no -march'}"))
