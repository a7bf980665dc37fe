"""Packages of a root: what they are, what belongs to them, and what they need to run."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.swap import environment

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
