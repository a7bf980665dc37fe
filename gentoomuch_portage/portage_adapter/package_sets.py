"""The section of sets.conf that plain emerge has from us.

Portage makes its sets before it resolves, whatever is asked of it.

``@gm-unmasked``: what was unmasked for profiles and is installed, let through for plain emerge.

``@gm-patches-changed``: what is installed with other user patches than it would get now.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NamedTuple, Self

from portage._sets import SetConfigError, get_boolean
from portage._sets.base import PackageSet
from portage.dep import Atom
from portage.exception import InvalidAtom

from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import masks, private_api, user_patches
from gentoomuch_portage.portage_adapter.masks import installed, why_not_in
from gentoomuch_portage.portage_adapter.patching import environment
from gentoomuch_portage.unmask.ledger import Entry


class Kept(NamedTuple):
    """An installed package that is as an entry of a ledger says."""

    entry: Entry
    cpv: Any
    """Portage's, with slot and repository."""


class Unmasked(PackageSet):  # type: ignore[misc]
    """The packages that are installed through an unmask."""

    _operations = ("merge", "unmerge")
    description = "installed packages that were unmasked for a profile"

    def __init__(self, entries: Iterable[Entry], vardb: Any) -> None:
        super().__init__()
        self._entries, self._vardb = tuple(entries), vardb

    def load(self) -> None:
        """Find them, by slot, so that the version that is best now takes their place."""
        self._setAtoms(sorted({f"{one.cpv.cp}:{one.cpv.slot}" for one in kept(self._entries, self._vardb)}))


def kept(entries: Iterable[Entry], vardb: Any) -> Iterator[Kept]:
    """The entries that serve an installed package: of that version, and with the flags that the entry says."""
    for entry in entries:
        for cpv in installed(vardb, Atom(entry.atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)):
            if entry.kind != "use" or _flags(entry, cpv, vardb):
                yield Kept(entry, vardb._pkg_str(cpv, None))


def _flags(entry: Entry, cpv: Any, vardb: Any) -> bool:
    on = {*vardb.aux_get(cpv, ["USE"])[0].split()}
    return all((flag.removeprefix("-") in on) != flag.startswith("-") for flag in entry.value.split())


def let_through(settings: Any, found: Iterable[Kept]) -> None:
    """Let a configuration say of these packages, in memory, what a file of etc/portage would say: of no other version.

    A mask that tells of a vulnerability by now is not lifted.

    Args:
        settings: Portage's, as one root has it; its clones share what is changed here.
    """
    for entry, cpv in found:
        if masks.unsafe_since(entry, cpv, cpv.repo, settings):
            continue
        atom = Atom(f"={cpv}::{cpv.repo}", allow_repo=True)
        if entry.kind == "mask":
            unmasked = settings._mask_manager._punmaskdict
            unmasked[cpv.cp] = (*unmasked.get(cpv.cp, ()), atom)
        else:
            said = _said(settings, entry.kind).setdefault(cpv.cp, {})
            said[atom] = (*said.get(atom, ()), *entry.value.split())


def _said(settings: Any, kind: str) -> Any:
    """``cat/pkg`` -> atom -> words, as Portage has read them from a file of the user's."""
    if kind == "keywords":
        return settings._keywords_manager.pkeywordsdict
    return settings._use_manager._pusedict if kind == "use" else settings._license_manager._plicensedict


def unknown(configroot: str, entries: Iterable[Entry]) -> list[Entry]:
    """The entries that serve something installed here, and without which a configuration masks it or builds it anew."""
    import portage

    with environment({"PORTAGE_CONFIGROOT": configroot}), redirect_stderr(StringIO()):
        trees = portage.create_trees(config_root=configroot, env={**os.environ})
        serving = dict.fromkeys(one.entry for one in kept(entries, trees[trees._running_eroot]["vartree"].dbapi))
        return [one for one in serving if not why_not_in(trees, one)]


_VALUES = ("CFLAGS", "CHOST", "ACCEPT_CHOSTS", "ELIBC", "PORTAGE_CONFIGROOT")


class HookSets:
    """Does what the words of the section switch on; all that comes of it as a set is ``@gm-unmasked``."""

    @classmethod
    def multiBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> dict[str, Any]:  # noqa: N802 - Portage's name
        """Portage's way to make the sets of a section, for each root.

        Args:
            options: the words of the section.

        Raises:
            SetConfigError: a name of Portage has moved, or a file of ours is wrong; it is shown, and emerge goes on
                without us.
        """
        if gone := [one.name for one in private_api.moved()]:
            raise SetConfigError(f"Portage has moved {', '.join(gone)}: no hook of gentoomuch does anything")
        values = {name: settings.get(name, "") for name in _VALUES}
        try:
            if get_boolean(options, "filter", False):
                cls.filter(options, values)
            if not get_boolean(options, "unmask", False):
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
        """Refuse binary packages; called whenever Portage reads its configuration.

        Args:
            values: CFLAGS, the ABI's variables and PORTAGE_CONFIGROOT of the configuration that was read.
        """
        raise NotImplementedError

    @classmethod
    def unmasked(cls, options: Mapping[str, str], values: Mapping[str, str]) -> tuple[Entry, ...]:
        """What was unmasked for profiles."""
        raise NotImplementedError

    @classmethod
    def composed(cls, values: Mapping[str, str]) -> bool:
        """Whether the configuration is that of a profile, and says all this by itself."""
        raise NotImplementedError


class Changed(PackageSet):  # type: ignore[misc]
    """A set that empties itself by being merged."""

    _operations = ("merge", "unmerge")
    description = "installed packages whose user patches are no longer those that they were built with"

    def __init__(self, settings: Any, vardb: Any) -> None:
        super().__init__()
        self._settings, self._vardb = settings, vardb

    @classmethod
    def singleBuilder(cls, options: Mapping[str, str], settings: Any, trees: Any) -> Self:  # noqa: N802 - Portage's name
        """Portage's way to make a set of a section."""
        return cls(settings, trees["vartree"].dbapi)

    def load(self) -> None:
        """Find them, by slot, so that the version that is best now takes their place."""
        found = user_patches.changed(self._settings, self._vardb)
        self._setAtoms(sorted({f"{self._vardb._pkg_str(cpv, None).cp}:{slot}" for cpv, slot, _, _ in found}))
