# SPDX-License-Identifier: GPL-2.0-or-later
"""Follow runtime dependencies: of the packages of a root, and of a directory of binary packages."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from portage import create_trees
from portage.dep import Atom, use_reduce
from portage.exception import InvalidDependString
from portage.versions import catpkgsplit, cpv_sort_key

from gentoomuch_portage.portage_adapter.atoms import atom_errors
from gentoomuch_portage.portage_adapter.installed import contents_of, sonames_of
from gentoomuch_portage.portage_adapter.patching import environment
from gentoomuch_portage.portage_adapter.trees import find_target

_KEYS = ("SLOT", "repository", "BUILD_ID", "USE", "IUSE", "LICENSE", "HOMEPAGE", "CHOST", "SIZE", "DESCRIPTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed package."""

    cpv: str
    name: str
    """``cat/pkg``."""
    version: str
    """With the revision, unless it is ``r0``."""
    metadata: Mapping[str, str]
    """SLOT, repository, BUILD_ID, USE, IUSE, LICENSE, HOMEPAGE, CHOST, SIZE, DESCRIPTION; empty if missing."""
    needs: tuple[str, ...]
    """cpvs of its runtime dependencies, sorted."""
    owns: tuple[str, ...]
    """Paths of its files, links and directories, relative to the root, sorted."""


def packages(configroot: Path, root: Path, atoms: Sequence[str] = ()) -> tuple[list[Package], list[str]]:
    """Return the packages of a root sorted by name, or only some packages and their runtime dependencies.

    Args:
        atoms: of the packages; empty for all packages.

    Returns:
        The packages, and the missing dependencies: ``atom (cpv)``, ``libx.so.1 (cpv)``.

    Raises:
        LookupError: an atom is not valid, or no installed package matches it.
    """
    env = {"PORTAGE_CONFIGROOT": str(configroot), "ROOT": str(root)}
    with environment(env), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        trees = create_trees(str(configroot), str(root))
        dbapi = find_target(trees)["vartree"].dbapi
        libraries = _libraries(dbapi)
        graph: dict[str, tuple[str, ...]] = {}
        missing: list[str] = []
        left = [cpv for atom in atoms for cpv in _meant(dbapi, atom)] if atoms else list(dbapi.cpv_all())
        while left:
            cpv = left.pop()
            if str(cpv) not in graph:
                needs = {*_needed(dbapi, cpv, missing), *_linked(dbapi, cpv, libraries, missing)} - {cpv}
                graph[str(cpv)] = tuple(sorted(map(str, needs)))
                left += needs
        return [_package(dbapi, root, name, cpvs) for name, cpvs in sorted(graph.items())], sorted(set(missing))


def _meant(dbapi: Any, text: str) -> list[Any]:
    with atom_errors(text):
        cpvs = dbapi.match(text)
    if not cpvs:
        raise LookupError(f"no package in the root matches {text!r}")
    return list(cpvs)


def _needed(dbapi: Any, cpv: Any, missing: list[str]) -> Iterator[Any]:
    """Yield the installed runtime dependencies of a package. Source: PMS, "Dependencies"."""
    use, eapi, *depends = dbapi.aux_get(cpv, ["USE", "EAPI", "RDEPEND", "PDEPEND"])
    try:
        nested = use_reduce(" ".join(depends), uselist=use.split(), opconvert=True, token_class=Atom, eapi=eapi)
    except InvalidDependString:
        missing.append(f"unreadable dependencies ({cpv})")
        return
    yield from _every(dbapi, cpv, nested, missing)


def _libraries(dbapi: Any) -> dict[Any, Any]:
    """Return the installed libraries: soname and ABI -> cpv; the newest version of several."""
    cpvs = sorted(dbapi.cpv_all(), key=cpv_sort_key())
    return {soname: cpv for cpv in cpvs for soname in sonames_of(dbapi, cpv, "PROVIDES")}


def _linked(dbapi: Any, cpv: Any, libraries: Mapping[Any, Any], missing: list[str]) -> Iterator[Any]:
    """Yield the packages of linked libraries, since ebuilds do not name those of the C library and the compiler."""
    for library in sonames_of(dbapi, cpv, "REQUIRES"):
        if library in libraries:
            yield libraries[library]
        else:
            missing.append(f"{library.soname} ({cpv})")


def _every(dbapi: Any, cpv: Any, nested: list[Any], missing: list[str]) -> Iterator[Any]:
    for dependency in nested:
        if isinstance(dependency, list) and dependency[:1] == ["||"]:
            chosen = next((choice for choice in dependency[1:] if _installed(dbapi, choice)), None)
            if chosen is None:
                missing.append(f"{' or '.join(map(str, dependency[1:]))} ({cpv})")
            else:
                yield from _every(dbapi, cpv, [chosen], missing)
        elif isinstance(dependency, list):
            yield from _every(dbapi, cpv, dependency, missing)
        elif not dependency.blocker:
            matches = dbapi.match(dependency)
            if matches:
                yield matches[-1]
            else:
                missing.append(f"{dependency} ({cpv})")


def _installed(dbapi: Any, dependency: Any) -> bool:
    if isinstance(dependency, list):
        inner = dependency[1:] if dependency[:1] == ["||"] else dependency
        return (any if dependency[:1] == ["||"] else all)(_installed(dbapi, each) for each in inner)
    return bool(dependency.blocker or dbapi.match(dependency))


def _package(dbapi: Any, root: Path, cpv: str, needs: tuple[str, ...]) -> Package:
    category, name, version, revision = catpkgsplit(cpv)
    metadata = dict(zip(_KEYS, dbapi.aux_get(cpv, list(_KEYS)), strict=True))
    size = Path(dbapi.getpath(cpv), "SIZE")
    metadata["SIZE"] = size.read_text(encoding="utf-8").strip() if size.is_file() else ""
    owns = (Path(path).relative_to(root) for path in contents_of(dbapi, cpv))
    return Package(
        cpv=cpv,
        name=f"{category}/{name}",
        version=version if revision == "r0" else f"{version}-{revision}",
        metadata=metadata,
        needs=needs,
        owns=tuple(sorted(map(str, owns))),
    )


_RUNTIME = ("RDEPEND", "PDEPEND", "IDEPEND")
"""The dependencies that are required to install a binary package. Source: PMS, "Dependency classes"."""


class Gap(NamedTuple):
    """A package with a dependency that this set of packages does not satisfy."""

    path: str
    cpv: str
    atom: str
    """The missing dependency; of several alternatives, the first."""


def gaps(tree: Any) -> Iterator[Gap]:
    """Yield the missing dependencies, sorted by package.

    Args:
        tree: a binarytree, as ``Pkgdir`` opens it.
    """
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
    use, eapi, *texts = tree.dbapi.aux_get(cpv, ["USE", "EAPI", *_RUNTIME])
    for text in texts:
        parsed = use_reduce(text, uselist=use.split(), opconvert=True, token_class=Atom, eapi=eapi)
        yield from _unmet(parsed, here)


def _unmet(parsed: Any, here: Callable[[Any], bool]) -> Iterator[str]:
    """Yield the missing atoms; if all alternatives are missing, those of the first."""
    if not isinstance(parsed, list):
        if not here(parsed):
            yield str(parsed)
        return
    if parsed[:1] == ["||"]:
        ways = [list(_unmet(dependency, here)) for dependency in parsed[1:]]
        yield from next((way for way in ways if not way), ways[0] if ways else ())
        return
    for dependency in parsed:
        yield from _unmet(dependency, here)
