# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks for plain emerge through sets.conf: Portage imports the class of a section before it resolves.

``etc/portage/sets.conf/gentoomuch.conf`` and ``gentoomuch-unmask.conf`` name ``Sets`` in one section, so that Portage
prints one warning if gentoomuch is not installed. With ``filter``, plain emerge rejects binary packages that this
machine's CPU cannot run, and records requirements in new ones. With ``unmask``, installed packages stay unmasked that
a profile has unmasked. Runs of gm-emerge for a profile include both.
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
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.portage_adapter import binpkg_build, binpkg_filter, paths, user_patches
from gentoomuch_portage.portage_adapter.binpkg import Binpkg
from gentoomuch_portage.portage_adapter.hook_sets import HookSets
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


class Sets(HookSets):
    """The hooks ``filter`` and ``unmask``."""

    _until_exit = ExitStack()

    @classmethod
    def filter(cls, options: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Enable the filter, unless it is enabled.

        Args:
            options: ``cpu``, a -march name or machine flags instead of the host's CFLAGS; ``unknown``,
                ``reject`` or ``accept``.
        """
        if binpkg_filter.active():
            return
        settings = _settings()
        option = options.get("cpu", "")
        cpu = f"-march={option}" if option and not option.startswith("-m") else option or values["CFLAGS"]
        flags = " ".join(requirement.machine_flags(cpu))
        unknown = options.get("unknown", "reject")
        abi = Abi(values["CHOST"], values["ELIBC"], tuple(values["ACCEPT_CHOSTS"].split()))

        def reject(binpkg: Binpkg) -> str | None:
            return binpkg_filter_cpu.check_on_machine(binpkg, flags, abi, settings, unknown=unknown).reason or None

        stack = cls._until_exit
        stack.enter_context(user_patches.mended())
        stack.enter_context(binpkg_build.patches_recorded())
        stack.enter_context(binpkg_build.recorded(resolve.recorder(settings.cache)))
        stack.enter_context(
            binpkg_filter.hide_rejected(reject, f"CPU features; this machine has {flags or 'no -march'}")
        )
        stack.enter_context(binpkg_filter.check_fetched(reject))

    @classmethod
    def unmasked(cls, options: Mapping[str, str], values: Mapping[str, str]) -> tuple[Entry, ...]:
        """Return the entries of all ledgers, or of that of ``profile``."""
        settings = _settings()
        name = options.get("profile", "")
        names = (profile.read(settings, name).name,) if name else profile.names(settings)
        return tuple(entry for chosen in names for entry in ledger.read(settings.state, chosen))

    @classmethod
    def composed(cls, values: Mapping[str, str]) -> bool:
        """Whether PORTAGE_CONFIGROOT was built for a profile, which has its own ledger and policy."""
        return cache.is_configroot(Path(values["PORTAGE_CONFIGROOT"]))


def _settings() -> Settings:
    return Settings.load(os.environ, eprefix=paths.eprefix())
