"""Packages that are installed: what they hold, and what they tell of how they were built."""

from collections.abc import Collection, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.swap import looking


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
