"""Packages of a root: what they are, what belongs to them, and what they need to run.

All that a machine would have to build for some packages, as Portage resolves it from ebuilds alone.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.portage_adapter.patching import environment, looking

_KEYS = ("SLOT", "repository", "BUILD_ID", "USE", "IUSE", "LICENSE", "HOMEPAGE", "CHOST", "SIZE", "DESCRIPTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package."""

    cpv: str
    name: str
    """``cat/pkg``."""
    version: str
    """With the revision, where it is not 0."""
    told: Mapping[str, str]
    """SLOT, repository, BUILD_ID, USE, IUSE, LICENSE, HOMEPAGE, CHOST, SIZE, DESCRIPTION; empty where it tells none."""
    needs: tuple[str, ...]
    """cpvs that it needs to run, sorted."""
    owns: tuple[str, ...]
    """Paths of its files, links and folders, below the root, sorted."""


def packages(configroot: Path, root: Path, asked: Sequence[str] = ()) -> tuple[list[Package], list[str]]:
    """The packages of a root by name, or those that some of them need to run.

    Args:
        asked: atoms; all packages where there are none.

    Returns:
        The packages, and what is needed and not installed: ``atom (cpv)``, ``libx.so.1 (cpv)``.

    Raises:
        LookupError: an atom is none, or nothing that is installed matches it.
    """
    from portage import create_trees

    env = {"PORTAGE_CONFIGROOT": str(configroot), "ROOT": str(root)}
    with environment(env), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        trees = create_trees(str(configroot), str(root))
        dbapi = trees[trees._target_eroot]["vartree"].dbapi
        libraries = _libraries(dbapi)
        graph: dict[str, tuple[str, ...]] = {}
        missing: list[str] = []
        left = [one for text in asked for one in _meant(dbapi, text)] if asked else list(dbapi.cpv_all())
        while left:
            cpv = left.pop()
            if str(cpv) not in graph:
                found = {*_needed(dbapi, cpv, missing), *_linked(dbapi, cpv, libraries, missing)} - {cpv}
                graph[str(cpv)] = tuple(sorted(map(str, found)))
                left += found
        return [_package(dbapi, root, cpv, needs) for cpv, needs in sorted(graph.items())], sorted(set(missing))


def _meant(dbapi: Any, text: str) -> list[Any]:
    from portage.exception import AmbiguousPackageName, InvalidAtom

    try:
        found = dbapi.match(text)
    except AmbiguousPackageName as error:
        raise LookupError(f"{text!r} means {' and '.join(error.args[0])}") from error
    except (InvalidAtom, ValueError) as error:
        raise LookupError(f"{text!r} is no atom") from error
    if not found:
        raise LookupError(f"no package in the root matches {text!r}")
    return list(found)


def _needed(dbapi: Any, cpv: Any, missing: list[str]) -> Iterator[Any]:
    """What a package needs to run, of what is installed. Source: PMS, "Dependencies"."""
    from portage.dep import Atom, use_reduce
    from portage.exception import InvalidDependString

    use, eapi, *depends = dbapi.aux_get(cpv, ["USE", "EAPI", "RDEPEND", "PDEPEND"])
    try:
        nested = use_reduce(" ".join(depends), uselist=use.split(), opconvert=True, token_class=Atom, eapi=eapi)
    except InvalidDependString:
        missing.append(f"unreadable dependencies ({cpv})")
        return
    yield from _every(dbapi, cpv, nested, missing)


def _libraries(dbapi: Any) -> dict[Any, Any]:
    """Each library that is installed, by soname and ABI, and whose it is: the newest version's of several."""
    from portage.versions import cpv_sort_key

    every = sorted(dbapi.cpv_all(), key=cpv_sort_key())
    return {one: cpv for cpv in every for one in _sonames(dbapi, cpv, "PROVIDES")}


def _linked(dbapi: Any, cpv: Any, libraries: Mapping[Any, Any], missing: list[str]) -> Iterator[Any]:
    """What has the libraries that a package is linked with; no ebuild names the C library, or the compiler's own."""
    for one in _sonames(dbapi, cpv, "REQUIRES"):
        if one in libraries:
            yield libraries[one]
        else:
            missing.append(f"{one.soname} ({cpv})")


def _sonames(dbapi: Any, cpv: Any, key: str) -> tuple[Any, ...]:
    """What PROVIDES or REQUIRES tells; nothing where a package was made without scanelf."""
    from portage.dep.soname.parse import parse_soname_deps
    from portage.exception import InvalidData

    try:
        return tuple(parse_soname_deps(dbapi.aux_get(cpv, [key])[0]))
    except InvalidData:
        return ()


def _every(dbapi: Any, cpv: Any, nested: list[Any], missing: list[str]) -> Iterator[Any]:
    for one in nested:
        if isinstance(one, list) and one[:1] == ["||"]:
            chosen = next((each for each in one[1:] if _installed(dbapi, each)), None)
            if chosen is None:
                missing.append(f"{' or '.join(map(str, one[1:]))} ({cpv})")
            else:
                yield from _every(dbapi, cpv, [chosen], missing)
        elif isinstance(one, list):
            yield from _every(dbapi, cpv, one, missing)
        elif not one.blocker:
            found = dbapi.match(one)
            if found:
                yield found[-1]
            else:
                missing.append(f"{one} ({cpv})")


def _installed(dbapi: Any, one: Any) -> bool:
    if isinstance(one, list):
        inner = one[1:] if one[:1] == ["||"] else one
        return (any if one[:1] == ["||"] else all)(_installed(dbapi, each) for each in inner)
    return bool(one.blocker or dbapi.match(one))


def _package(dbapi: Any, root: Path, cpv: str, needs: tuple[str, ...]) -> Package:
    from portage.versions import catpkgsplit

    category, name, version, revision = catpkgsplit(cpv)
    told = dict(zip(_KEYS, dbapi.aux_get(cpv, list(_KEYS)), strict=True))
    size = Path(dbapi.getpath(cpv), "SIZE")
    told["SIZE"] = size.read_text(encoding="utf-8").strip() if size.is_file() else ""
    owns = (Path(path).relative_to(root) for path in dbapi._dblink(dbapi._pkg_str(cpv, None)).getcontents())
    return Package(
        cpv=cpv,
        name=f"{category}/{name}",
        version=version if revision == "r0" else f"{version}-{revision}",
        told=told,
        needs=needs,
        owns=tuple(sorted(map(str, owns))),
    )


class Wanted(NamedTuple):
    """One package of the answer."""

    cpv: str
    name: str
    """``cat/pkg``."""
    root: str
    """The ROOT that it is for: what is needed for building is for another one than the machine's own."""


class Unresolved(LookupError):
    """Portage finds no answer; the text is what it says."""


def closure(env: Mapping[str, str], targets: Sequence[str]) -> list[Wanted]:
    """The packages that would be built on an empty machine, in their order.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        targets: atoms and sets, as on emerge's command line.

    Raises:
        Unresolved: there is no answer.
    """
    said = StringIO()
    with ExitStack() as around:
        around.enter_context(looking(env))
        around.enter_context(redirect_stdout(said))
        around.enter_context(redirect_stderr(said))
        done, graph = _resolved(targets)
        if not done:
            graph.display_problems()
    if not done:
        raise Unresolved(_first(said.getvalue()) or "it does not say why")
    tasks = (one for one in graph.altlist() if getattr(one, "operation", "") == "merge")
    return [Wanted(str(one.cpv), str(one.cpv.cp), one.root_config.settings["ROOT"]) for one in tasks]


def _resolved(targets: Sequence[str]) -> tuple[bool, Any]:
    from _emerge.actions import load_emerge_config
    from _emerge.create_depgraph_params import create_depgraph_params
    from _emerge.depgraph import backtrack_depgraph
    from _emerge.stdout_spinner import stdout_spinner
    from portage._sets import SetConfigError
    from portage.exception import PackageSetNotFound, PortageException

    words: dict[str, Any] = {"--pretend": True, "--quiet": True, "--emptytree": True, "--usepkg": False}
    loaded = load_emerge_config(action=None, args=list(targets), opts=words)
    config = loaded.target_config
    parameters = create_depgraph_params(words, None)
    try:
        done, graph, _ = backtrack_depgraph(
            config.settings, loaded.trees, words, parameters, None, list(targets), stdout_spinner()
        )
    except PackageSetNotFound as error:
        raise Unresolved(f"there is no set {error.value!r}") from error
    except (SetConfigError, PortageException) as error:
        raise Unresolved(str(error)) from error
    return bool(done), graph


def _first(said: str) -> str:
    """The first thing that Portage says, on one line."""
    lines = (line.strip() for line in re.sub(r"\033\[[0-9;]*m", "", said).split("\n"))
    return next((line.removeprefix("emerge: ").rstrip(".") for line in lines if line), "")
