# SPDX-License-Identifier: GPL-2.0-or-later
"""Apply package moves to a composed configuration: its lines and patches are those of the new name at once.

The files of layers keep the old name until ``gentoomuch profile update``.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from gentoomuch_portage import stored
from gentoomuch_portage.configroot.key import MOVED
from gentoomuch_portage.configroot.layers import Composed
from gentoomuch_portage.portage_adapter import package_moves

_ATOM = re.compile(r"(?m)^([ \t]*[-*]?)([^\s#*-][^\s#]*)")
_PATCHES = re.compile(r"patches/([^/]+/[^/]+)/[^/]+")


def has_atoms(name: str) -> bool:
    """Whether each line of a file below etc/portage begins with an atom."""
    first, _, below = name.removeprefix("profile/").partition("/")
    return first.startswith("package.") or first in {"packages", "machine"} or (first == "sets" and below != "")


def list_atoms(name: str, text: str) -> Iterator[str]:
    """Yield the atoms of a file below etc/portage; for a patch, the name of its directory as an atom."""
    if has_atoms(name):
        yield from (match[2] for match in _ATOM.finditer(text))
    elif match := _PATCHES.fullmatch(name):
        yield from _atoms_of_directory(match[1])


def _atoms_of_directory(name: str) -> tuple[str, str]:
    """Return the atoms that the directory of a patch can mean: ``cat/pkg-1:2`` is a package, or one version."""
    return name, f"={name}"


def rename_lines(text: str, renames: Mapping[str, str]) -> str:
    """Return a text with the new atoms."""
    return _ATOM.sub(lambda match: f"{match[1]}{renames.get(match[2], match[2])}", text)


def rename_directory(name: str, renames: Mapping[str, str]) -> str:
    """Return the new name of a directory of patches: ``cat/pkg``, ``cat/pkg-1.2:3``."""
    for atom in _atoms_of_directory(name):
        if atom in renames:
            return renames[atom].removeprefix("=")
    return name


def rename_path(name: str, renames: Mapping[str, str]) -> str:
    """Return the new path of a patch below etc/portage; other paths are unchanged."""
    match = _PATCHES.fullmatch(name)
    return name.replace(match[1], rename_directory(match[1], renames), 1) if match else name


def apply(composed: Composed, repositories: Collection[Path], host: Iterable[Path], named: Collection[str]) -> set[str]:
    """Rename moved packages in a composed configuration, and record those that files of layers name.

    Args:
        host: directories whose files Portage renames itself.
        named: atoms of the profile that are not in a file of the configuration: its lists in ``[unmask]``.

    Returns:
        The paths below etc/portage that changed or are gone.
    """
    atoms_of = {
        name: tuple(list_atoms(name, content.decode(errors="replace")))
        for name, (content, _, _) in composed.files.items()
    }
    every = (atom for atoms in (*atoms_of.values(), named) for atom in atoms)
    renames = package_moves.find_renames(every, repositories)
    above = tuple(host)
    changed: set[str] = set()
    own = renames.keys() & set(named)
    for name, atoms in atoms_of.items():
        if moved := renames.keys() & set(atoms):
            changed |= {name, _rename(composed, name, renames)}
            origin = composed.origins.get(name)
            own |= moved if origin is None or not any(origin.is_relative_to(folder) for folder in above) else set()
    if own:
        text = json.dumps({atom: renames[atom] for atom in sorted(own)}, indent=1) + "\n"
        composed.files[MOVED] = (text.encode(), 0o644, -1)
        changed.add(MOVED)
    return changed


def _rename(composed: Composed, name: str, renames: Mapping[str, str]) -> str:
    """Rename the packages of one file; return its new path. A patch of the new name is kept."""
    content, mode, group = composed.files[name]
    new = rename_path(name, renames)
    if new == name:
        text = rename_lines(content.decode(errors="surrogateescape"), renames)
        composed.files[name] = (text.encode(errors="surrogateescape"), mode, group)
    elif new not in composed.files:
        composed.files[new] = composed.files.pop(name)
    return new


def load(configroot: Path) -> dict[str, str]:
    """Return the moved packages that the files of a profile name: old atom -> new atom."""
    return stored.recall(configroot / "etc/portage" / MOVED, _parse) or {}


def _parse(text: str) -> dict[str, str]:
    """Parse a record.

    Raises:
        ValueError, TypeError, AttributeError: it is invalid.
    """
    return {str(old): str(new) for old, new in json.loads(text).items()}
