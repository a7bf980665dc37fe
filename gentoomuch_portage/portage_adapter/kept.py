"""``@gm-unmasked``: what was unmasked for profiles and is installed, let through for plain emerge."""

import os
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

from portage._sets.base import PackageSet
from portage.dep import Atom

from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.portage_adapter import masktexts
from gentoomuch_portage.portage_adapter.needed import installed, why_not_in
from gentoomuch_portage.portage_adapter.swap import environment


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
        if masktexts.unsafe_since(entry, cpv, cpv.repo, settings):
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
