# SPDX-License-Identifier: GPL-2.0-or-later
"""Query available binary packages with Portage's reasons to reject them, and their unsatisfied dependencies."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from _emerge import depgraph
from _emerge.actions import load_emerge_config
from _emerge.create_depgraph_params import create_depgraph_params
from portage.dbapi.dep_expand import dep_expand
from portage.dep import Atom, isvalidatom
from portage.exception import PackageNotFound
from portage.versions import catpkgsplit

from gentoomuch_portage.portage_adapter.atoms import atom_errors
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, to_binpkg
from gentoomuch_portage.portage_adapter.binpkg_filter import hide_rejected
from gentoomuch_portage.portage_adapter.lazy_index import by_name
from gentoomuch_portage.portage_adapter.masks import Masked, masked
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.signing import Signature, read_signature
from gentoomuch_portage.portage_adapter.trees import ensure_arch_of_all
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.lazy_index import local
else:
    local = LazyModule("gentoomuch_portage.portage_adapter.lazy_index.local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An available instance, with the reasons for which Portage would reject it."""

    binpkg: Binpkg
    against: tuple[tuple[str, str], ...]
    """Code and reason, ``("keywords", "~amd64 keyword")``; codes include signature, keywords, mask, use, deps."""
    masked: tuple[Masked, ...]
    """The reasons that mask it."""
    repository: str
    signature: Signature | None
    """None if it was not requested."""


def offers(
    env: Mapping[str, str], wanted: str | tuple[str, ...] | None, *, remote: bool, signatures: bool = False
) -> list[Offer]:
    """Return the instances that match an atom, newest version and build first.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        wanted: an atom, with or without version and category; or names, ``cat/pkg``; None for all.
        remote: also list packages on binhosts; their indexes are fetched.
        signatures: also verify signatures; gpg is started several times for each package.

    Raises:
        LookupError: the atom is invalid, or matches packages of several categories; the message names them.
    """
    with ExitStack() as around:
        around.enter_context(query_environment(env))
        around.enter_context(redirect_stdout(StringIO()))
        around.enter_context(redirect_stderr(StringIO()))
        # The filter of docs/plain-emerge.md would hide rejected packages; it does nothing while this one is active.
        around.enter_context(hide_rejected(lambda _: None, ""))
        around.enter_context(by_name(_read_shards))
        graph, config = _resolver(remote=remote)
        return [
            _offer(graph, config, pkg, signatures=signatures)
            for atom in _atoms(config, wanted)
            for pkg in graph._iter_match_pkgs_atom(config, "binary", atom)
        ]


def _read_shards() -> AbstractContextManager[object]:
    """Read the index by name."""
    return local.ondemand()


def _offer(graph: Any, config: Any, pkg: Any, *, signatures: bool) -> Offer:
    signature = read_signature(config.trees["bintree"], pkg.cpv) if signatures else None
    signed = [("signature", signature.text)] if signature and signature.against else []
    masks = tuple(_masks(graph, config, pkg))
    mask_reasons = ((mask.code, mask.reason) for mask in masks)
    against = (*signed, *mask_reasons, *_against(graph, config, pkg))
    return Offer(binpkg=to_binpkg(pkg), against=against, masked=masks, repository=pkg.repo or "", signature=signature)


def _resolver(*, remote: bool) -> tuple[Any, Any]:
    """Return a new resolver, and the root that it is for."""
    words: dict[str, Any] = {"--usepkg": True, "--pretend": True, "--quiet": True}
    if remote:
        words["--getbinpkg"] = True
    loaded = load_emerge_config(action=None, args=[], opts=words)
    ensure_arch_of_all(loaded.trees)
    config = loaded.target_config
    for trees in loaded.trees.values():
        trees["bintree"].populate(getbinpkgs=remote)
    parameters = create_depgraph_params(words, None)
    return depgraph.depgraph(config.settings, loaded.trees, words, parameters, None), config


def _atoms(config: Any, wanted: str | tuple[str, ...] | None) -> Iterator[Any]:
    dbapi = config.trees["bintree"].dbapi
    if wanted is None or isinstance(wanted, tuple):
        yield from (Atom(cp) for cp in sorted(dbapi.cp_all() if wanted is None else wanted))
        return
    with atom_errors(wanted):
        atom = _expanded(wanted, dbapi, config.settings)
    yield atom


def _expanded(atom: str, dbapi: Any, settings: Any) -> Any:
    """Return the atom that a user means: ``pkg``, ``cat/pkg``, ``cat/pkg-1.0``, ``=cat/pkg-1.0-2``."""
    text = atom
    if atom[:1] not in "=<>~!" and (isvalidatom(f"={atom}") or catpkgsplit(f"null/{atom.rpartition('/')[2]}")):
        text = f"={atom}"
    expanded = dep_expand(text, mydb=dbapi, settings=settings)
    return Atom(str(expanded), allow_build_id=True, allow_repo=True)


def _masks(graph: Any, config: Any, pkg: Any) -> Iterator[Masked]:
    settings = graph._frozen_config.pkgsettings[pkg.root]
    reasons = depgraph._get_masking_status(pkg, settings, config, use=pkg.use.enabled)
    return masked(reasons, pkg.cpv, pkg.repo or "", settings)


def _against(graph: Any, config: Any, pkg: Any) -> Iterator[tuple[str, str]]:
    """Yield the other reasons for which the resolver would reject a package."""
    try:
        ebuild = graph._pkg(pkg.cpv, "ebuild", config, myrepo=pkg.repo)
    except PackageNotFound:
        yield "ebuild", f"repository {pkg.repo} has no ebuild of it"
        return
    forced = {*ebuild.use.force, *ebuild.use.mask}
    before, now = pkg.use.enabled, graph._pkg_use_enabled(ebuild)
    if flags := graph._reinstall_for_flags(pkg, forced, before, pkg.iuse.all, now, ebuild.iuse.all):
        yield "use", "it has " + " ".join(flag if flag in before else f"-{flag}" for flag in sorted(flags))
    if graph._changed_deps(pkg):
        yield "deps", "its ebuild has other dependencies now"
