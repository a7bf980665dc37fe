"""Whether what was unmasked would still be masked without it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.portage_adapter import masktexts
from gentoomuch_portage.portage_adapter.swap import looking


def why_not(env: Mapping[str, str], entries: Iterable[Entry], *, installed_only: bool) -> list[str]:
    """For each entry why it is not needed; an empty text where it is.

    Args:
        env: PORTAGE_CONFIGROOT without the entries, and ROOT.
        installed_only: ask only whether their packages are installed.
    """
    import portage

    with looking(env) as env, redirect_stderr(StringIO()):
        trees = portage.create_trees(
            config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT"), env={**os.environ}
        )
        return [why_not_in(trees, entry, installed_only=installed_only) for entry in entries]


def why_not_in(trees: Any, entry: Entry, *, installed_only: bool = False) -> str:
    """The same of one entry; it serves a package that is installed in any of the roots of a run."""
    from portage.dep import Atom

    atom = Atom(entry.atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    found = [cpv for root in trees.values() for cpv in installed(root["vartree"].dbapi, atom)]
    if not found:
        return "it is not installed"
    if installed_only:
        return ""
    tree = trees[trees._target_eroot]
    offered = _offered(tree["porttree"].dbapi, atom, found)
    if not offered:
        return "no repository has it any more"
    settings = tree["vartree"].settings
    if any(masktexts.unsafe_since(entry, cpv, cpv.repo, settings) for cpv in offered):
        return "it is masked for security now"
    return _reason(entry, offered, tree["porttree"].dbapi, settings)


def installed(vardb: Any, atom: Any) -> list[Any]:
    """What an atom means of what is installed; one like ``*/*::guru``, too, which Portage's own match does not take."""
    from portage.dep import match_from_list

    if not atom.extended_syntax:
        return list(vardb.match(atom))
    return list(match_from_list(atom, [vardb._pkg_str(cpv, None) for cpv in vardb.cpv_all()]))


def _offered(portdb: Any, atom: Any, installed: Iterable[Any]) -> list[Any]:
    """What an atom means in the repositories; of one that means many packages, those that are installed."""
    from portage.dep import match_from_list

    if not atom.extended_syntax:
        return list(portdb.xmatch("match-all", atom))
    every = [one for cp in sorted({cpv.cp for cpv in installed}) for one in portdb.xmatch("match-all", cp)]
    return list(match_from_list(atom, every))


def _reason(entry: Entry, found: Iterable[Any], portdb: Any, settings: Any) -> str:
    masked = list(_still(entry, found, portdb, settings))
    told = {"keywords": "it is stable now", "mask": "it is not masked any more"}
    plain = {"use": "the configuration says so anyway", "license": "the licence is accepted anyway"}
    return "" if any(masked) else (told | plain)[entry.kind]


def _still(entry: Entry, found: Iterable[Any], portdb: Any, settings: Any) -> Iterator[bool]:
    keys = ("SLOT", "KEYWORDS", "LICENSE", "IUSE", "EAPI", "repository", "PROPERTIES", "RESTRICT")
    for cpv in found:
        metadata = {**dict(zip(keys, portdb.aux_get(cpv, list(keys)), strict=True)), "USE": ""}
        match entry.kind:
            case "keywords":
                yield bool(settings._getMissingKeywords(cpv, metadata))
            case "mask":
                yield settings._getMaskAtom(cpv, metadata) is not None
            case "license":
                yield bool(settings._getMissingLicenses(cpv, metadata))
            case "use":
                yield not _flags_on(entry, cpv, portdb, settings)


def _flags_on(entry: Entry, cpv: Any, portdb: Any, settings: Any) -> bool:
    import portage

    own = portage.config(clone=settings)
    own.setcpv(cpv, mydb=portdb)
    on = set((own.get("PORTAGE_USE") or "").split())
    return all((flag.removeprefix("-") in on) != flag.startswith("-") for flag in entry.value.split())
