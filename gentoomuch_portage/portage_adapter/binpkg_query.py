"""Binary packages on offer outside of a run, each with what Portage itself has against it.

Dependencies of binary packages that no package beside them satisfies.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple

from gentoomuch_portage.portage_adapter.binpkg import Binpkg, shown
from gentoomuch_portage.portage_adapter.binpkg_filter import sifted
from gentoomuch_portage.portage_adapter.lazy_index.local import ondemand
from gentoomuch_portage.portage_adapter.masks import Masked, masked
from gentoomuch_portage.portage_adapter.patching import looking
from gentoomuch_portage.portage_adapter.signing import Signature, of


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An instance, and why Portage would not take it."""

    binpkg: Binpkg
    against: tuple[tuple[str, str], ...]
    """Code and reason: ``("keywords", "~amd64 keyword")``; among the codes are signature, keywords, mask, use, deps."""
    masked: tuple[Masked, ...]
    """Those of them that mask it."""
    repository: str
    signature: Signature | None
    """None where nobody asked for it."""


def offers(
    env: Mapping[str, str], asked: str | tuple[str, ...] | None, *, remote: bool, signatures: bool = False
) -> list[Offer]:
    """The instances that match an atom, newest version and build first.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        asked: an atom, with or without version and category; or names, ``cat/pkg``; None for all.
        remote: also what binhosts offer; their indexes are fetched.
        signatures: also verify them; gpg is started several times for each package.

    Raises:
        LookupError: the atom is none, or means packages of several categories; the message names them.
    """
    with ExitStack() as around:
        around.enter_context(looking(env))
        around.enter_context(redirect_stdout(StringIO()))
        around.enter_context(redirect_stderr(StringIO()))
        # The set of docs/plain-emerge.md would hide what it refuses; it leaves that to whoever sifts already.
        around.enter_context(sifted(lambda _: None, ""))
        around.enter_context(ondemand())
        graph, config = _resolver(remote=remote)
        return [
            _offer(graph, config, pkg, signatures=signatures)
            for atom in _atoms(config, asked)
            for pkg in graph._iter_match_pkgs_atom(config, "binary", atom)
        ]


def _offer(graph: Any, config: Any, pkg: Any, *, signatures: bool) -> Offer:
    signature = of(config.trees["bintree"], pkg.cpv) if signatures else None
    signed = [("signature", signature.text)] if signature and signature.against else []
    masks = tuple(_masks(graph, config, pkg))
    told = ((one.code, one.reason) for one in masks)
    against = (*signed, *told, *_against(graph, config, pkg))
    return Offer(binpkg=shown(pkg), against=against, masked=masks, repository=pkg.repo or "", signature=signature)


def _resolver(*, remote: bool) -> tuple[Any, Any]:
    """A resolver that has looked at nothing yet, and the root that it is for."""
    from _emerge.actions import load_emerge_config
    from _emerge.create_depgraph_params import create_depgraph_params
    from _emerge.depgraph import depgraph
    from _emerge.stdout_spinner import stdout_spinner

    words: dict[str, Any] = {"--usepkg": True, "--pretend": True, "--quiet": True}
    if remote:
        words["--getbinpkg"] = True
    loaded = load_emerge_config(action=None, args=[], opts=words)
    config = loaded.target_config
    for trees in loaded.trees.values():
        trees["bintree"].populate(getbinpkgs=remote)
    parameters = create_depgraph_params(words, None)
    return depgraph(config.settings, loaded.trees, words, parameters, stdout_spinner()), config


def _atoms(config: Any, asked: str | tuple[str, ...] | None) -> Iterator[Any]:
    from portage.dep import Atom
    from portage.exception import AmbiguousPackageName, InvalidAtom

    dbapi = config.trees["bintree"].dbapi
    if asked is None or isinstance(asked, tuple):
        yield from (Atom(cp) for cp in sorted(dbapi.cp_all() if asked is None else asked))
        return
    try:
        found = _expanded(asked, dbapi, config.settings)
    except AmbiguousPackageName as error:
        raise LookupError(f"{asked!r} means {' and '.join(error.args[0])}") from error
    except InvalidAtom as error:
        raise LookupError(f"{asked!r} is no atom") from error
    yield found


def _expanded(asked: str, dbapi: Any, settings: Any) -> Any:
    """The atom that a user means: ``pkg``, ``cat/pkg``, ``cat/pkg-1.0``, ``=cat/pkg-1.0-2``."""
    from portage.dbapi.dep_expand import dep_expand
    from portage.dep import Atom, isvalidatom
    from portage.versions import catpkgsplit

    text = asked
    if asked[:1] not in "=<>~!" and (isvalidatom(f"={asked}") or catpkgsplit(f"null/{asked.rpartition('/')[2]}")):
        text = f"={asked}"
    expanded = dep_expand(text, mydb=dbapi, settings=settings)
    return Atom(str(expanded), allow_build_id=True, allow_repo=True)


def _masks(graph: Any, config: Any, pkg: Any) -> Iterator[Masked]:
    from _emerge.depgraph import _get_masking_status

    settings = graph._frozen_config.pkgsettings[pkg.root]
    found = _get_masking_status(pkg, settings, config, use=pkg.use.enabled)
    return masked(found, pkg.cpv, pkg.repo or "", settings)


def _against(graph: Any, config: Any, pkg: Any) -> Iterator[tuple[str, str]]:
    """What the resolver would hold against a package besides, in its own terms."""
    from portage.exception import PackageNotFound

    try:
        ebuild = graph._pkg(pkg.cpv, "ebuild", config, myrepo=pkg.repo)
    except PackageNotFound:
        yield "ebuild", f"there is no ebuild of it in {pkg.repo}"
        return
    forced = {*ebuild.use.force, *ebuild.use.mask}
    before, now = pkg.use.enabled, graph._pkg_use_enabled(ebuild)
    if flags := graph._reinstall_for_flags(pkg, forced, before, pkg.iuse.all, now, ebuild.iuse.all):
        yield "use", "it has " + " ".join(flag if flag in before else f"-{flag}" for flag in sorted(flags))
    if graph._changed_deps(pkg):
        yield "deps", "its ebuild has other dependencies now"


_RUNTIME = ("RDEPEND", "PDEPEND", "IDEPEND")
"""What a machine needs that installs a binary package. Source: PMS, "Dependency classes"."""


class Gap(NamedTuple):
    """A package that cannot be installed from this set alone."""

    path: str
    cpv: str
    atom: str
    """What is missing; the first of the alternatives where there are some."""


def gaps(tree: Any) -> Iterator[Gap]:
    """What is missing, package by package.

    Args:
        tree: a binarytree, as ``Pkgdir`` has it.
    """
    from portage.exception import InvalidDependString

    tree.populated = True  # populate() might write the index
    tree._populate_local(reindex=False)
    known: dict[str, bool] = {}

    def here(atom: Any) -> bool:
        if atom.blocker:
            return True
        text = str(atom)
        if text not in known:
            known[text] = bool(tree.dbapi.match(atom))
        return known[text]

    for cpv in sorted(tree.dbapi.cpv_all()):
        path = tree._pkg_paths[tree.dbapi._instance_key(cpv)]
        try:
            missing = list(dict.fromkeys(_missing(tree, cpv, here)))
        except InvalidDependString as error:
            missing = [f"a dependency that Portage cannot read ({error})"]
        yield from (Gap(path, str(cpv), atom) for atom in missing)


def _missing(tree: Any, cpv: Any, here: Callable[[Any], bool]) -> Iterator[str]:
    from portage.dep import Atom, use_reduce

    use, eapi, *texts = tree.dbapi.aux_get(cpv, ["USE", "EAPI", *_RUNTIME])
    for text in texts:
        parsed = use_reduce(text, uselist=use.split(), opconvert=True, token_class=Atom, eapi=eapi)
        yield from _unmet(parsed, here)


def _unmet(parsed: Any, here: Callable[[Any], bool]) -> Iterator[str]:
    """The atoms that are missing; of alternatives that are all missing, those of the first."""
    if not isinstance(parsed, list):
        if not here(parsed):
            yield str(parsed)
        return
    if parsed[:1] == ["||"]:
        ways = [list(_unmet(one, here)) for one in parsed[1:]]
        yield from next((way for way in ways if not way), ways[0] if ways else ())
        return
    for one in parsed:
        yield from _unmet(one, here)
