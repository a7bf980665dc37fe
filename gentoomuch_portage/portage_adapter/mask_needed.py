# SPDX-License-Identifier: GPL-2.0-or-later
"""Find entries of the unmask ledger that are no longer needed."""

import os
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import portage
from portage.dep import Atom, match_from_list

from gentoomuch_portage.portage_adapter import masks
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.trees import find_target
from gentoomuch_portage.unmask.ledger import Entry


def why_not(env: Mapping[str, str], entries: Iterable[Entry], *, installed_only: bool) -> list[str]:
    """Return for each entry why it is not needed; an empty text if it is needed.

    Args:
        env: PORTAGE_CONFIGROOT without the entries, and ROOT.
        installed_only: check only whether the packages are installed.
    """
    with query_environment(env) as query, redirect_stderr(StringIO()):
        trees = portage.create_trees(
            config_root=query["PORTAGE_CONFIGROOT"], target_root=query.get("ROOT"), env={**os.environ}
        )
        return [why_not_in(trees, entry, installed_only=installed_only) for entry in entries]


def why_not_in(trees: Any, entry: Entry, *, installed_only: bool = False) -> str:
    """Return why one entry is not needed; an entry is used if any root of the run has its package installed."""
    atom = Atom(entry.atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    matches = [cpv for root in trees.values() for cpv in installed(root["vartree"].dbapi, atom)]
    if not matches:
        return "it is not installed"
    if installed_only:
        return ""
    tree = find_target(trees)
    offered = _find_ebuilds(tree["porttree"].dbapi, atom, matches)
    if not offered:
        return "no repository has it any more"
    settings = tree["vartree"].settings
    if any(masks.unsafe_since(entry, cpv, cpv.repo, settings) for cpv in offered):
        return "it is masked for security now"
    return _reason(entry, offered, tree["porttree"].dbapi, settings)


def installed(vardb: Any, atom: Any) -> list[Any]:
    """Return the installed packages that match an atom, also ``*/*::guru``, which Portage's match() rejects."""
    if not atom.extended_syntax:
        return list(vardb.match(atom))
    return list(match_from_list(atom, [vardb._pkg_str(cpv, None) for cpv in vardb.cpv_all()]))


def _find_ebuilds(portdb: Any, atom: Any, installed: Iterable[Any]) -> list[Any]:
    """Return the ebuilds that match an atom; for a wildcard, only those of installed packages."""
    if not atom.extended_syntax:
        return list(portdb.xmatch("match-all", atom))
    ebuilds = [cpv for cp in sorted({cpv.cp for cpv in installed}) for cpv in portdb.xmatch("match-all", cp)]
    return list(match_from_list(atom, ebuilds))


def _reason(entry: Entry, cpvs: Iterable[Any], portdb: Any, settings: Any) -> str:
    masked = [_is_masked(entry, cpv, portdb, settings) for cpv in cpvs]
    repository = {"keywords": "it is stable now", "mask": "it is not masked any more"}
    local = {"use": "the configuration says so anyway", "license": "the licence is accepted anyway"}
    return "" if any(masked) else (repository | local)[entry.kind]


_OTHER = frozenset({"eapi", "corruption"})
"""Masks for which Portage reports no others."""


def _is_masked(entry: Entry, cpv: Any, portdb: Any, settings: Any) -> bool:
    """Return True if an ebuild is masked in the way that an entry lifts, or lacks its flags."""
    if entry.kind == "use":
        return not _flags_on(entry, cpv, portdb, settings)
    return any(mask.code in {entry.kind, *_OTHER} for mask in masks.find_masks(cpv, cpv.repo, portdb, settings))


def _flags_on(entry: Entry, cpv: Any, portdb: Any, settings: Any) -> bool:
    own = portage.config(clone=settings)
    own.setcpv(cpv, mydb=portdb)
    on = set((own.get("PORTAGE_USE") or "").split())
    return all((flag.removeprefix("-") in on) != flag.startswith("-") for flag in entry.value.split())
