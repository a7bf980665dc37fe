# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolve the packages that the build of one package needs: binary packages, and what is installed already.

No ebuild is a candidate except for the one to build, so that nothing else is ever compiled.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from _emerge.actions import load_emerge_config
from _emerge.create_depgraph_params import create_depgraph_params
from _emerge.depgraph import backtrack_depgraph, depgraph
from portage.dep import Atom, match_from_list, use_reduce
from portage.exception import PortageException

from gentoomuch_portage.portage_adapter.binpkg import Reject
from gentoomuch_portage.portage_adapter.binpkg_filter import hide_rejected
from gentoomuch_portage.portage_adapter.patching import query_environment, swapped
from gentoomuch_portage.portage_adapter.trees import ensure_arch_of_all

KINDS = ("DEPEND", "BDEPEND", "IDEPEND", "RDEPEND", "PDEPEND")
"""The kinds of dependencies. Source: PMS, dependency classes."""
_BUILD_KINDS = frozenset({"DEPEND", "BDEPEND", "IDEPEND"})
_DATABASES = {"ebuild": "porttree", "binary": "bintree", "installed": "vartree"}


class Edge(NamedTuple):
    """A dependency of a package."""

    kind: str
    """``DEPEND``, ``BDEPEND``, ``IDEPEND``, ``RDEPEND`` or ``PDEPEND``."""
    atom: str
    packages: tuple[str, ...]
    """The packages of the graph that match; empty if the build does not need the dependency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A package of the graph."""

    cpv: str
    build_id: int
    """0 if it has none."""
    source: str
    """``ebuild``, ``binpkg`` or ``installed``."""
    slot: str
    subslot: str
    repository: str
    use: tuple[str, ...]
    """The enabled flags of its IUSE, sorted."""
    path: str
    """The file of an ebuild or a binary package; empty for an installed package."""
    sha256: str
    """Of that file; empty for an installed package."""
    eclasses: Mapping[str, str]
    """Name -> sha256 of each eclass that an ebuild inherits."""
    edges: tuple[Edge, ...]

    @property
    def name(self) -> str:
        """Return ``cat/pkg-1.0``, or ``cat/pkg-1.0-2`` for an instance of a binary package."""
        return f"{self.cpv}-{self.build_id}" if self.build_id else self.cpv


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The packages that a build needs."""

    nodes: tuple[Node, ...]
    """The package to build first, then the others, sorted by name."""
    missing: tuple[str, ...] = ()
    """Atoms of dependencies that no binary package or installed package satisfies."""

    @property
    def target(self) -> Node:
        """Return the package to build."""
        return self.nodes[0]

    @property
    def packages(self) -> tuple[Node, ...]:
        """Return the binary packages to install before the build."""
        return tuple(node for node in self.nodes if node.source == "binpkg")


class UnknownEbuild(LookupError):
    """No repository has a visible ebuild of the package; the text is the reason."""


def resolve(env: Mapping[str, str], cpv: str, named: Collection[tuple[str, str]], reject: Reject) -> Graph:
    """Resolve the dependencies of a build; ``missing`` has those that are not available.

    Args:
        env: PORTAGE_CONFIGROOT of the profile, and PKGDIR with the binary packages.
        cpv: the package to build.
        named: package and slot of binary packages that replace installed ones.
        reject: binary packages for which it returns a reason are not used.

    Raises:
        UnknownEbuild: the ebuild does not exist or is masked.
    """
    with ExitStack() as stack:
        stack.enter_context(query_environment(env))
        output = StringIO()
        stack.enter_context(redirect_stdout(output))
        stack.enter_context(redirect_stderr(output))
        stack.enter_context(hide_rejected(reject, "their CPU features or user patches"))
        with _limit_candidates(cpv, named):
            done, graph = _resolve(cpv)
            if done:
                return Graph(nodes=tuple(_list_nodes(graph, cpv)))
        with _limit_candidates(cpv, named, is_ebuild_allowed=True):
            done, graph = _resolve(cpv)
            if done:
                nodes = tuple(_list_nodes(graph, cpv))
                return Graph(
                    nodes=nodes, missing=tuple(f"={node.cpv}" for node in nodes[1:] if node.source == "ebuild")
                )
            target = _find_target(graph, cpv)
            graph.display_problems()
            if target is None:
                raise UnknownEbuild(_describe(output.getvalue()))
            unsatisfied = graph._dynamic_config._unsatisfied_deps_for_display
            node = _make_node(target, graph, ())
            missing = sorted({str(arguments[1]) for arguments, _ in unsatisfied})
            if not missing:  # for example, packages need each other
                missing = sorted({edge.atom for edge in node.edges if edge.kind in _BUILD_KINDS})
            if not missing:
                raise UnknownEbuild(_describe(output.getvalue()))
            return Graph(nodes=(node,), missing=tuple(missing))


def _limit_candidates(cpv: str, named: Collection[tuple[str, str]], *, is_ebuild_allowed: bool = False) -> Any:
    """Let the resolver see only the packages that the build may use, while the block runs."""
    plain: Callable[..., Iterator[Any]] = depgraph._iter_match_pkgs_atom

    @functools.wraps(plain)
    def limited(self: Any, root_config: Any, pkg_type: str, *args: Any, **more: Any) -> Iterator[Any]:
        for pkg in plain(self, root_config, pkg_type, *args, **more):
            is_target = str(pkg.cpv) == cpv
            if pkg_type == "ebuild" and not (is_target or is_ebuild_allowed):
                continue
            if pkg_type == "binary" and is_target:
                continue
            if pkg_type == "installed" and (str(pkg.cp), pkg.slot) in named:
                continue
            yield pkg

    return swapped(depgraph, "_iter_match_pkgs_atom", limited)


def _resolve(cpv: str) -> tuple[bool, Any]:
    options: dict[str, Any] = {
        "--pretend": True,
        "--quiet": True,
        "--oneshot": True,
        "--usepkg": True,
        "--onlydeps": True,
        "--onlydeps-with-rdeps": "n",
        "--autounmask": "n",
    }
    targets = [f"={cpv}"]
    loaded = load_emerge_config(action=None, args=targets, opts=options)
    ensure_arch_of_all(loaded.trees)
    parameters = create_depgraph_params(options, None)
    settings = loaded.target_config.settings
    try:
        done, graph, _ = backtrack_depgraph(settings, loaded.trees, options, parameters, None, targets, None)
    except PortageException as error:
        raise UnknownEbuild(str(error)) from error
    return bool(done), graph


def _find_target(graph: Any, cpv: str) -> Any:
    packages = (node for node in graph._dynamic_config.digraph if _is_package(node))
    return next((pkg for pkg in packages if str(pkg.cpv) == cpv and pkg.type_name == "ebuild"), None)


def _is_package(node: Any) -> bool:
    return getattr(node, "type_name", "") in _DATABASES


def _list_nodes(graph: Any, cpv: str) -> Iterator[Node]:
    """Yield the package to build, then the others, sorted."""
    digraph = graph._dynamic_config.digraph
    packages = [node for node in digraph if _is_package(node)]
    packages.sort(key=lambda pkg: (str(pkg.cpv) != cpv, pkg.type_name != "ebuild", str(pkg.cpv), pkg.type_name))
    for pkg in packages:
        yield _make_node(pkg, graph, [child for child in digraph.child_nodes(pkg) if _is_package(child)])


def _make_node(pkg: Any, graph: Any, children: Iterable[Any]) -> Node:
    source = {"binary": "binpkg"}.get(pkg.type_name, pkg.type_name)
    path = _find_file(pkg)
    return Node(
        cpv=str(pkg.cpv),
        build_id=_build_id(pkg),
        source=source,
        slot=pkg.slot,
        subslot=pkg.sub_slot,
        repository=pkg.repo or "",
        use=tuple(sorted(flag for flag in pkg.use.enabled if pkg.iuse.is_valid_flag(flag) and flag in pkg.iuse.all)),
        path=path,
        sha256=_digest(path) if path else "",
        eclasses=_digest_eclasses(pkg) if source == "ebuild" else {},
        edges=tuple(_list_edges(pkg, graph, list(children))),
    )


def _build_id(pkg: Any) -> int:
    return int(pkg.cpv.build_id or 0) if pkg.type_name == "binary" else 0


def _name(pkg: Any) -> str:
    build_id = _build_id(pkg)
    return f"{pkg.cpv}-{build_id}" if build_id else str(pkg.cpv)


def _find_file(pkg: Any) -> str:
    trees = pkg.root_config.trees
    if pkg.type_name == "ebuild":
        return str(trees["porttree"].dbapi.findname(pkg.cpv, myrepo=pkg.repo) or "")
    return str(trees["bintree"].getname(pkg.cpv)) if pkg.type_name == "binary" else ""


def _digest(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_eclasses(pkg: Any) -> dict[str, str]:
    database = pkg.root_config.trees["porttree"].dbapi
    names = database.aux_get(pkg.cpv, ["INHERITED"], myrepo=pkg.repo)[0].split()
    eclasses = database.repositories[pkg.repo].eclass_db.eclasses
    return {name: _digest(eclasses[name].location) for name in sorted(names)}


def _list_edges(pkg: Any, graph: Any, children: list[Any]) -> Iterator[Edge]:
    """Yield each atom of each kind, without blockers; of ``||`` all alternatives."""
    database = pkg.root_config.trees[_DATABASES[pkg.type_name]].dbapi
    more = {"myrepo": pkg.repo} if pkg.type_name == "ebuild" else {}
    enabled = graph._pkg_use_enabled(pkg)
    for kind, text in zip(KINDS, database.aux_get(pkg.cpv, list(KINDS), **more), strict=True):
        tokens = use_reduce(
            text, uselist=enabled, is_valid_flag=pkg.iuse.is_valid_flag, eapi=pkg.eapi, flat=True, token_class=Atom
        )
        for token in dict.fromkeys(tokens):
            if isinstance(token, Atom) and not token.blocker:
                atom = token.evaluate_conditionals(enabled) if token.use else token
                matches = (_name(child) for child in children if match_from_list(atom, [child]))
                yield Edge(kind, str(atom), tuple(sorted(matches)))


def _describe(output: str) -> str:
    """Return the first line of Portage's message, without colours."""
    plain = re.sub(r"\033\[[0-9;]*m", "", output)
    lines = (line.strip().removeprefix("emerge: ").rstrip(".") for line in plain.splitlines())
    return next(filter(None, lines), "")
