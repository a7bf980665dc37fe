# SPDX-License-Identifier: GPL-2.0-or-later
"""Query installed packages: contents, build records, world file, and which of them are out of date."""

from collections.abc import Collection, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from portage import create_trees
from portage.const import EPREFIX, VDB_PATH
from portage.dbapi.vartree import dblink
from portage.dep.soname.parse import parse_soname_deps
from portage.exception import InvalidData
from portage.versions import catpkgsplit

from gentoomuch_portage.portage_adapter import atoms, config
from gentoomuch_portage.portage_adapter.binpkg import DOTGENTOO
from gentoomuch_portage.portage_adapter.patching import query_environment
from gentoomuch_portage.portage_adapter.trees import find_target

PLACES = (
    "DISTDIR", "PKGDIR", "PORTAGE_TMPDIR", "PORTAGE_LOGDIR", "PORT_LOGDIR", "EMERGE_LOG_DIR", "PORTAGE_USERNAME",
    "PORTAGE_GRPNAME",
)  # fmt: skip
"""Variables of make.conf with directories and users of one machine."""


def places(configroot: Path) -> dict[str, str]:
    """Return those variables of ``PLACES`` that the configuration sets.

    Raises:
        BadFile: Portage cannot read the configuration.
    """
    variables, _ = config.read_config(configroot)
    return {name: str(variables[name]) for name in PLACES if variables.get(name)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An installed package."""

    cpv: str
    root: Path
    use: frozenset[str]
    """Enabled flags of its IUSE."""
    build_info: Mapping[str, str]
    """Name -> text of the requested files of build-info, stripped; without missing files."""
    files: tuple[Path, ...]
    """Absolute paths of its regular files, below the root, sorted."""


def installed(env: Mapping[str, str], atom: str | None, wanted: Collection[str]) -> list[Installed]:
    """Return the installed packages that match an atom, sorted by name.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT.
        atom: with or without version and category; None for all packages.
        wanted: names of files of build-info.

    Raises:
        LookupError: the atom is not valid, or matches packages of several categories.
    """
    with query_environment(env) as query, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        trees = create_trees(query.get("PORTAGE_CONFIGROOT"), query.get("ROOT"))
        tree = find_target(trees)["vartree"]
        cpvs = sorted(tree.dbapi.cpv_all()) if atom is None else _matching(tree, atom)
        return [_load_package(tree, cpv, wanted) for cpv in cpvs]


def _matching(tree: Any, atom: str) -> list[Any]:
    text = atom if atom[:1] in "=<>~" or not _versioned(atom) else f"={atom}"
    with atoms.atom_errors(atom):
        return sorted(tree.dbapi.match(text))


def _versioned(atom: str) -> bool:
    return catpkgsplit(f"null/{atom.rpartition('/')[2]}") is not None


def _load_package(tree: Any, cpv: Any, wanted: Collection[str]) -> Installed:
    use, iuse = tree.dbapi.aux_get(cpv, ["USE", "IUSE"])
    contents = contents_of(tree.dbapi, str(cpv))
    folder = Path(tree.dbapi.getpath(cpv))
    records = {
        name: (folder / name).read_text("utf-8", "replace").strip() for name in wanted if (folder / name).is_file()
    }
    return Installed(
        cpv=str(cpv),
        root=Path(tree.settings["ROOT"]),
        use=frozenset(use.split()) & {flag.lstrip("+-") for flag in iuse.split()},
        build_info=records,
        files=tuple(Path(name) for name, (kind, *_) in sorted(contents.items()) if kind == "obj"),
    )


def sonames_of(dbapi: Any, cpv: Any, key: str) -> tuple[Any, ...]:
    """Return the sonames of PROVIDES or REQUIRES; empty if the package was built without scanelf."""
    try:
        return tuple(parse_soname_deps(dbapi.aux_get(cpv, [key])[0]))
    except InvalidData:
        return ()


def contents_of(dbapi: Any, cpv: str) -> dict[str, tuple[str, ...]]:
    """Return the files, links and directories of an installed package: path -> kind and further fields.

    Args:
        dbapi: Portage's vardbapi of the root.
    """
    package = dblink(*cpv.split("/"), settings=dbapi.settings, vartree=dbapi.vartree, treetype="vartree")
    return dict(package.getcontents())


def installed_worktree(cpv: str, root: str) -> str:
    """Return the work tree record of an installed package; empty if it was not built from a work tree."""
    file = Path(f"{root.rstrip('/')}{EPREFIX}") / VDB_PATH / cpv / DOTGENTOO
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
