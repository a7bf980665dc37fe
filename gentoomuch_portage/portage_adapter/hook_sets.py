# SPDX-License-Identifier: GPL-2.0-or-later
"""Provide our section of sets.conf to plain emerge: ``@gm-unmasked``, and hooks into its configuration.

Portage loads all sets before it resolves. ``@gm-unmasked`` contains the installed packages that were unmasked for
profiles.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

import portage
from portage._sets import SetConfigError
from portage._sets.base import PackageSet
from portage.dep import Atom
from portage.exception import InvalidAtom

from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import masks, private_api
from gentoomuch_portage.portage_adapter.mask_needed import installed, why_not_in
from gentoomuch_portage.portage_adapter.patching import environment
from gentoomuch_portage.portage_adapter.trees import find_running
from gentoomuch_portage.unmask.ledger import Entry


class Kept(NamedTuple):
    """An installed package that matches an entry of a ledger."""

    entry: Entry
    cpv: Any
    """Portage's package string, with slot and repository."""


class Unmasked(PackageSet):  # type: ignore[misc]
    """The installed packages that were unmasked for a profile."""

    _operations = ("merge", "unmerge")
    description = "installed packages that were unmasked for a profile"

    def __init__(self, entries: Iterable[Entry], vardb: Any) -> None:
        super().__init__()
        self._entries, self._vardb = tuple(entries), vardb

    def load(self) -> None:
        """Load the packages by slot, so that the best visible version replaces the installed one."""
        self._setAtoms(sorted({f"{package.cpv.cp}:{package.cpv.slot}" for package in kept(self._entries, self._vardb)}))


def kept(entries: Iterable[Entry], vardb: Any) -> Iterator[Kept]:
    """Yield the entries that match an installed package, its version and its USE flags."""
    for entry in entries:
        for cpv in installed(vardb, Atom(entry.atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)):
            if entry.kind != "use" or _flags(entry, cpv, vardb):
                yield Kept(entry, vardb._pkg_str(cpv, None))


def _flags(entry: Entry, cpv: Any, vardb: Any) -> bool:
    on = {*vardb.aux_get(cpv, ["USE"])[0].split()}
    return all((flag.removeprefix("-") in on) != flag.startswith("-") for flag in entry.value.split())


def let_through(settings: Any, packages: Iterable[Kept]) -> None:
    """Apply entries to a configuration in memory, as a file in etc/portage would, for the installed version only.

    A package stays masked if its mask now mentions a vulnerability.

    Args:
        settings: Portage's settings of a root; its clones share the changes.
    """
    for entry, cpv in packages:
        if masks.unsafe_since(entry, cpv, cpv.repo, settings):
            continue
        atom = Atom(f"={cpv}::{cpv.repo}", allow_repo=True)
        if entry.kind == "mask":
            unmasked = settings._mask_manager._punmaskdict
            unmasked[cpv.cp] = (*unmasked.get(cpv.cp, ()), atom)
        else:
            by_atom = _find_table(settings, entry.kind).setdefault(cpv.cp, {})
            by_atom[atom] = (*by_atom.get(atom, ()), *entry.value.split())


def _find_table(settings: Any, kind: str) -> Any:
    """Return ``cat/pkg`` -> atom -> values, as Portage has read them from the user's files."""
    if kind == "keywords":
        return settings._keywords_manager.pkeywordsdict
    return settings._use_manager._pusedict if kind == "use" else settings._license_manager._plicensedict


def unknown(configroot: str, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries of installed packages that a configuration would otherwise mask or rebuild."""
    with environment({"PORTAGE_CONFIGROOT": configroot}), redirect_stderr(StringIO()):
        trees = portage.create_trees(config_root=configroot, env={**os.environ})
        serving = dict.fromkeys(package.entry for package in kept(entries, find_running(trees)["vartree"].dbapi))
        return [entry for entry in serving if not why_not_in(trees, entry)]


def _is_enabled(options: Mapping[str, str], name: str) -> bool:
    """Return a boolean option of sets.conf, which is false if it is missing.

    Raises:
        SetConfigError: the value is not a boolean. Source: portage._sets.get_boolean.
    """
    value = options.get(name, "no").lower()
    if value not in {"1", "yes", "on", "true", "0", "no", "off", "false"}:
        raise SetConfigError(f"invalid value {options[name]!r} for option {name!r}")
    return value in {"1", "yes", "on", "true"}


_NEEDED = frozenset(
    {
        private_api.FILTER, private_api.REASONS, private_api.FETCHED, private_api.RECORD, private_api.PATCHES,
        private_api.MASKS, private_api.SETS, private_api.INSTALLED,
    }
)  # fmt: skip
"""What the hooks do with private names."""


def _needs(lost: private_api.Lost) -> bool:
    """Whether the hooks need a capability that Portage has lost."""
    return lost.capability in _NEEDED and not lost.is_older


_VALUES = ("CFLAGS", "CHOST", "ACCEPT_CHOSTS", "ELIBC", "PORTAGE_CONFIGROOT")


class HookSets:
    """Runs the hooks that the options of the section enable; the only set is ``@gm-unmasked``."""

    @classmethod
    def multiBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> dict[str, Any]:  # noqa: N802 - Portage's name
        """Return the sets of a section; Portage calls this for each root.

        Args:
            options: the options of the section.

        Raises:
            SetConfigError: a private name of Portage is missing, or one of our files is invalid; emerge prints the
                error and continues without the hooks.
        """
        if gone := [name.name for lost in private_api.find_lost() if _needs(lost) for name in lost.names]:
            raise SetConfigError(f"Portage no longer provides {', '.join(gone)}: the hooks of gentoomuch are disabled")
        values = {name: settings.get(name, "") for name in _VALUES}
        try:
            if _is_enabled(options, "filter"):
                cls.filter(options, values)
            if not _is_enabled(options, "unmask"):
                return {}
            return cls._kept(cls.unmasked(options, values), values, settings, trees["vartree"].dbapi)
        except GmError as error:
            raise SetConfigError(f"{error.message}: gentoomuch does nothing here") from error

    @classmethod
    def _kept(
        cls, entries: tuple[Entry, ...], values: Mapping[str, str], settings: Any, vardb: Any
    ) -> dict[str, Unmasked]:
        try:
            if not cls.composed(values):
                let_through(settings, kept(entries, vardb))
        except (AttributeError, InvalidAtom) as error:
            raise SetConfigError(f"gentoomuch can let nothing through that it has unmasked: {error}") from error
        return {"gm-unmasked": Unmasked(entries, vardb)}

    @classmethod
    def filter(cls, options: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Reject binary packages; called whenever Portage reads its configuration.

        Args:
            values: CFLAGS, the ABI's variables and PORTAGE_CONFIGROOT of the configuration that was read.
        """
        raise NotImplementedError

    @classmethod
    def unmasked(cls, options: Mapping[str, str], values: Mapping[str, str]) -> tuple[Entry, ...]:
        """Return the entries of the ledgers of all profiles."""
        raise NotImplementedError

    @classmethod
    def composed(cls, values: Mapping[str, str]) -> bool:
        """Whether the configuration is that of a profile, which already includes the entries."""
        raise NotImplementedError
