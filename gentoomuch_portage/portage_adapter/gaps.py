"""Dependencies of binary packages that no package beside them satisfies."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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
