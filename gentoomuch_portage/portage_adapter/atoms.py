# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse atoms and names of packages with Portage's grammar."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import portage.versions
from portage.dep import Atom, isvalidatom, match_from_list
from portage.exception import AmbiguousPackageName, InvalidAtom
from portage.versions import catpkgsplit, cpv_getkey

from gentoomuch_portage.errors import BadFile


def check_atoms(path: Path) -> None:
    """Check each line of a package.* file against Portage's grammar.

    Raises:
        BadFile: lines are invalid; the first one, with the others.
    """
    raise_first(find_invalid_lines(path))


def raise_first(errors: Iterable[BadFile]) -> None:
    """Raise the first error with the others; do nothing without errors.

    Raises:
        BadFile: there is an error.
    """
    first, *others = (*errors, None)
    if first is not None:
        first.others = tuple(filter(None, others))
        raise first


def find_invalid_lines(path: Path) -> Iterator[BadFile]:
    """Yield an error for each line of a package.* file that is invalid in Portage's grammar."""
    kind = path_kind(path)
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        name, *values = line.partition("#")[0].split() or [""]
        if not name:
            continue
        if kind == "package.provided":
            if not is_cpv(name.removeprefix("-")):
                what = f"{name!r} is not a package with its version"
                yield BadFile(path, number, what, hint="write category/package-1.2, without an operator")
            continue
        if not is_atom(name.removeprefix("-") if kind in {"package.mask", "package.unmask"} else name):
            hint = "write category/package, with =, ~ or >= before a version"
            yield BadFile(path, number, f"{name!r} is not a valid atom", hint=hint)
        elif kind == "package.use" and (flag := next((flag for flag in values if not _FLAG.fullmatch(flag)), "")):
            hint = "write flag, -flag, or VARIABLE: value"
            yield BadFile(path, number, f"{flag!r} is not a valid USE flag", hint=hint)


_FLAG = re.compile(r"-?(\*|[A-Za-z0-9][A-Za-z0-9+_@-]*(_\*)?)|[A-Za-z0-9_]+:|-?[A-Za-z0-9+_@.:-]+")


def path_kind(path: Path) -> str:
    """Return ``package.use`` for a file of that name or below a directory of that name; empty for other paths."""
    return next((part for part in reversed(path.parts) if part.startswith("package.")), "")


def is_cpv(text: str) -> bool:
    """Whether Portage accepts a text in package.provided. Source: pprovideddict in portage's config."""
    fields = catpkgsplit(text)
    return fields is not None and fields[0] != "null" and is_atom(f"={text}")


def is_atom(text: str) -> bool:
    """Whether Portage accepts a text as an atom in a user's configuration."""
    try:
        Atom(text, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    except InvalidAtom:
        return False
    return True


@contextlib.contextmanager
def atom_errors(atom: str) -> Iterator[None]:
    """Convert Portage's errors about an atom that a user has given.

    Raises:
        LookupError: the atom is invalid, or matches packages of several categories; the message names them.
    """
    try:
        yield
    except AmbiguousPackageName as error:
        raise LookupError(f"{atom!r} means {' and '.join(error.args[0])}") from error
    except (InvalidAtom, ValueError) as error:
        raise LookupError(f"{atom!r} is not a valid atom") from error


def means(atom: str, cpv: str, slot: str, repository: str, build_id: int = 0) -> bool:
    """Whether an atom matches a package; an invalid atom matches nothing.

    Args:
        build_id: of a binary package; 0 if it has none.
    """
    try:
        parsed = Atom(atom, allow_wildcard=True, allow_repo=True, allow_build_id=True)
    except InvalidAtom:
        return False
    return bool(
        match_from_list(parsed, [portage.versions._pkg_str(cpv, slot=slot, repo=repository, build_id=build_id or None)])
    )


def is_exact(cpv: str) -> bool:
    """Return whether a text is category, name and version of one package, without an operator."""
    if not isvalidatom(f"={cpv}"):
        return False
    atom = Atom(f"={cpv}")
    return atom.cpv == cpv and not (atom.slot or atom.use or "*" in cpv)


def package_of(cpv: str) -> str:
    """Return ``cat/pkg`` of ``cat/pkg-1.0-r1``; a text without a version is returned unchanged."""
    return str(cpv_getkey(cpv) or cpv)


def atom_key(text: str) -> str:
    """Return ``cat/pkg`` of an atom, with wildcards such as ``*/*`` unchanged; empty if it is invalid."""
    try:
        return str(Atom(text, allow_wildcard=True, allow_repo=True, allow_build_id=True).cp)
    except InvalidAtom:
        return ""


def parted(cpv: str) -> tuple[str, str, str, str]:
    """Split a cpv into category, name, version and revision (default: ``r0``).

    Raises:
        ValueError: the text is not a cpv.
    """
    fields = catpkgsplit(cpv)
    if fields is None:
        raise ValueError(f"{cpv!r} is not a cpv")
    category, name, version, revision = fields
    return str(category), str(name), str(version), str(revision)
