"""What plain emerge has of us by a section of sets.conf: Portage imports its class before it resolves.

``etc/portage/sets.conf/gentoomuch.conf`` and ``gentoomuch-unmask.conf`` name ``Sets``, in one section, so that there
is one warning where gentoomuch is gone. With ``filter`` plain emerge refuses binary packages that this machine's CPU
cannot run, and records in those that it builds what they need; with ``unmask`` it keeps what was unmasked for a
profile and is installed. A run of gm-emerge for a profile has both already.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from gentoomuch_portage.binpkg_filter import cpu as binpkg_filter_cpu
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import cache
from gentoomuch_portage.isa import requirement, resolve
from gentoomuch_portage.isa.requirement import Abi
from gentoomuch_portage.portage_adapter import binpkg as portage_binpkg
from gentoomuch_portage.portage_adapter import binpkg_filter, emerge, user_patches
from gentoomuch_portage.portage_adapter.binpkg import Binpkg
from gentoomuch_portage.portage_adapter.package_sets import HookSets
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


class Sets(HookSets):
    """The hooks ``filter`` and ``unmask``."""

    _as_long_as_emerge_runs = ExitStack()

    @classmethod
    def filter(cls, options: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Switch the filter on, unless it is.

        Args:
            options: ``cpu``, a -march name or machine flags instead of the host's CFLAGS; ``unknown``,
                ``reject`` or ``accept``.
        """
        if binpkg_filter.active():
            return
        ours = _settings()
        told = options.get("cpu", "")
        cpu = f"-march={told}" if told and not told.startswith("-m") else told or values["CFLAGS"]
        flags = " ".join(requirement.machine_flags(cpu))
        unknown = options.get("unknown", "reject")
        abi = Abi(values["CHOST"], values["ELIBC"], tuple(values["ACCEPT_CHOSTS"].split()))

        def reject(binpkg: Binpkg) -> str | None:
            return binpkg_filter_cpu.runs(binpkg, flags, abi, ours, unknown=unknown).reason or None

        held = cls._as_long_as_emerge_runs
        held.enter_context(user_patches.mended())
        held.enter_context(user_patches.named())
        held.enter_context(portage_binpkg.recorded(resolve.recording(ours.cache)))
        held.enter_context(binpkg_filter.sifted(reject, f"CPU features; this machine has {flags or 'no -march'}"))
        held.enter_context(binpkg_filter.judged(reject))

    @classmethod
    def unmasked(cls, options: Mapping[str, str], values: Mapping[str, str]) -> tuple[Entry, ...]:
        """The entries of all ledgers, or of that of ``profile``."""
        ours = _settings()
        name = options.get("profile", "")
        chosen = (profile.read(ours, name).name,) if name else profile.names(ours)
        return tuple(entry for one in chosen for entry in ledger.read(ours.state, one))

    @classmethod
    def composed(cls, values: Mapping[str, str]) -> bool:
        """Whether it is a configroot of ours, which has its own ledger and policy."""
        return cache.is_one(Path(values["PORTAGE_CONFIGROOT"]))


def _settings() -> Settings:
    return Settings.of(os.environ, eprefix=emerge.eprefix())
