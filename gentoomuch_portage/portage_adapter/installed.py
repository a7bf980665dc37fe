"""Where a root keeps what was selected for it, and what of a configuration belongs to the machine alone.

Packages that are installed: what they hold, and what they tell of how they were built.

What is recorded in a package that is built from a work tree, and what an installed one tells of it.

What of a root is out of date, by Portage's own account.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter import config
from gentoomuch_portage.portage_adapter.patching import looking, swapped

PLACES = (
    "DISTDIR", "PKGDIR", "PORTAGE_TMPDIR", "PORTAGE_LOGDIR", "PORT_LOGDIR", "EMERGE_LOG_DIR", "PORTAGE_USERNAME",
    "PORTAGE_GRPNAME",
)  # fmt: skip
"""Variables of make.conf that name folders and users of one machine."""


def world(root: Path) -> tuple[Path, Path]:
    """The files ``world`` and ``world_sets`` of a root. Source: portage.const.WORLD_FILE, WORLD_SETS_FILE."""
    from portage.const import EPREFIX, WORLD_FILE, WORLD_SETS_FILE

    eroot = Path(f"{str(root).rstrip('/')}{EPREFIX}/")
    return eroot / WORLD_FILE, eroot / WORLD_SETS_FILE


def places(configroot: Path) -> dict[str, str]:
    """What this machine's configuration says of itself: those of ``PLACES`` that it sets.

    Raises:
        BadFile: Portage cannot read it.
    """
    found, _ = config.read_config(configroot)
    return {name: str(found[name]) for name in PLACES if found.get(name)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One installed package."""

    cpv: str
    root: Path
    use: frozenset[str]
    """The flags that were on, of those that it has."""
    told: Mapping[str, str]
    """The files of build-info that were wanted, stripped; those that it lacks are left out."""
    files: tuple[Path, ...]
    """Its plain files, absolute, below the root, sorted."""


def installed(env: Mapping[str, str], asked: str | None, wanted: Collection[str]) -> list[Installed]:
    """The installed packages that match an atom, by name.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT.
        asked: an atom, with or without version and category; None for all.
        wanted: names of files of build-info.

    Raises:
        LookupError: the atom is none, or means packages of several categories.
    """
    from portage import create_trees

    with looking(env) as env, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        trees = create_trees(env.get("PORTAGE_CONFIGROOT"), env.get("ROOT"))
        tree = trees[trees._target_eroot]["vartree"]
        cpvs = sorted(tree.dbapi.cpv_all()) if asked is None else _matching(tree, asked)
        return [_of(tree, cpv, wanted) for cpv in cpvs]


def _matching(tree: Any, asked: str) -> list[Any]:
    from portage.exception import AmbiguousPackageName, InvalidAtom

    text = asked if asked[:1] in "=<>~" or not _versioned(asked) else f"={asked}"
    try:
        return sorted(tree.dbapi.match(text))
    except AmbiguousPackageName as error:
        raise LookupError(f"{asked!r} means {' and '.join(error.args[0])}") from error
    except (InvalidAtom, ValueError) as error:
        raise LookupError(f"{asked!r} is no atom") from error


def _versioned(asked: str) -> bool:
    from portage.versions import catpkgsplit

    return catpkgsplit(f"null/{asked.rpartition('/')[2]}") is not None


def _of(tree: Any, cpv: Any, wanted: Collection[str]) -> Installed:
    use, iuse = tree.dbapi.aux_get(cpv, ["USE", "IUSE"])
    contents = tree.dbapi._dblink(cpv).getcontents()
    folder = Path(tree.dbapi.getpath(cpv))
    told = {name: (folder / name).read_text("utf-8", "replace").strip() for name in wanted if (folder / name).is_file()}
    return Installed(
        cpv=str(cpv),
        root=Path(tree.settings["ROOT"]),
        use=frozenset(use.split()) & {flag.lstrip("+-") for flag in iuse.split()},
        told=told,
        files=tuple(Path(name) for name, (kind, *_) in sorted(contents.items()) if kind == "obj"),
    )


NAME = "GM_DOTGENTOO"
"""The file of metadata: the ID of the .gentoo folder, and the digest of the work tree."""


@contextmanager
def told(trees: Mapping[str, str]) -> Iterator[None]:
    """As long as the block runs, each package that is built from a work tree carries which one that was.

    Args:
        trees: cpv -> what its file says.
    """
    from portage.package.ebuild import doebuild

    plain = doebuild._post_src_install_write_metadata

    @functools.wraps(plain)
    def written(settings: Any) -> None:
        plain(settings)
        if text := trees.get(str(settings.mycpv)):
            (Path(settings["PORTAGE_BUILDDIR"]) / "build-info" / NAME).write_text(f"{text}\n", encoding="utf-8")

    with swapped(doebuild, "_post_src_install_write_metadata", written):
        yield


def installed_worktree(cpv: str, root: str) -> str:
    """What the installed package tells; empty where there is none, or it was not built from a work tree."""
    from portage.const import EPREFIX, VDB_PATH

    file = Path(f"{root.rstrip('/')}{EPREFIX}") / VDB_PATH / cpv / NAME
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """An installed package that is not the best of its slot."""

    cpv: str
    newest: str
    """The best that nothing masks, in the same slot; empty where there is none any more."""
    behind: int
    """How many versions lie between, the newest one counted; 0 where there is none, or it is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What is installed in a root."""

    installed: int
    outdated: tuple[Outdated, ...]
    """By name."""


def looked_at(env: Mapping[str, str]) -> Root:
    """What is installed in a profile's root, held against the ebuilds that the profile has and does not mask.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
    """
    from portage import create_trees
    from portage.versions import pkgcmp, pkgsplit

    with looking(env) as env, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        trees = create_trees(env.get("PORTAGE_CONFIGROOT"), env.get("ROOT"))
        here = trees[trees._target_eroot]
        vardb, portdb = here["vartree"].dbapi, here["porttree"].dbapi
        found = []
        every = sorted(vardb.cpv_all())
        for cpv in every:
            pkg = vardb._pkg_str(cpv, None)
            offered = [str(one) for one in portdb.xmatch("match-visible", f"{pkg.cp}:{pkg.slot}")]
            if not offered or offered[-1] != str(cpv):
                newer = [one for one in offered if (pkgcmp(pkgsplit(one), pkgsplit(str(cpv))) or 0) > 0]
                found.append(Outdated(cpv=str(cpv), newest=offered[-1] if offered else "", behind=len(newer)))
        portdb.close_caches()
    return Root(installed=len(every), outdated=tuple(found))
