# SPDX-License-Identifier: GPL-2.0-or-later
"""Package moves: the new names of packages and slots, as ``profiles/updates`` of the repositories list them.

Source: PMS, "The updates directory".
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from portage.update import parse_updates, update_dbentry

_QUARTER = re.compile(r"([1-4])Q-(\d{4})")
_NAME = re.compile(r"([\w][\w+.-]*)/([\w][\w+-]*)")
_SLOT = re.compile(r"(?m)^SLOT=[\"']?([^\"'\s/]*)")
Command = tuple[str, ...]
"""``move OLD NEW``, or ``slotmove PACKAGE OLD NEW``."""


def list_inputs(repositories: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of package moves, the oldest first, and their directories."""
    for repository in repositories:
        folder = repository / "profiles/updates"
        yield folder
        if folder.is_dir():
            yield from sorted((path for path in folder.iterdir() if path.is_file() and path.name[0] != "."), key=_age)


def _age(file: Path) -> tuple[str, str, str]:
    """Return a sort key: year and quarter of ``1Q-2026``; other names follow, sorted."""
    match = _QUARTER.fullmatch(file.name)
    return (match[2], match[1], "") if match else ("9999", "9", file.name)


def find_renames(atoms: Iterable[str], repositories: Iterable[Path]) -> dict[str, str]:
    """Find the new names of moved packages.

    A package is moved if no repository has an ebuild of the old name or slot, and one has an ebuild of the new name.

    Args:
        atoms: of a configuration; invalid ones are left out.

    Returns:
        Atom -> the atom with its new name, only for moved packages.
    """
    places = tuple(repositories)
    moves = _load_moves(places)
    renames = {}
    for atom in dict.fromkeys(atoms):
        new = _follow(atom, moves, places) if not moves.keys().isdisjoint(_find_names(atom)) else atom
        if new != atom:
            renames[atom] = new
    return renames


def _find_names(atom: str) -> Iterator[str]:
    """Yield the names that a text may contain: ``cat/pkg-1``, ``cat/pkg``."""
    if match := _NAME.search(atom):
        parts = match[2].split("-")
        yield from (f"{match[1]}/{'-'.join(parts[:end])}" for end in range(len(parts), 0, -1))


def _load_moves(repositories: Iterable[Path]) -> dict[str, list[tuple[int, Command]]]:
    """Return the commands of each old name, numbered by age; invalid lines are left out."""
    moves: dict[str, list[tuple[int, Command]]] = {}
    number = 0
    for file in list_inputs(repositories):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
            match line.split():
                case ["move", old, _] | ["slotmove", old, _, _] as command:
                    moves.setdefault(old, []).append((number, tuple(command)))
                    number += 1
    return moves


def _follow(atom: str, moves: dict[str, list[tuple[int, Command]]], repositories: Iterable[Path]) -> str:
    """Return an atom with its new name after all moves of it; unchanged if one is not complete."""
    current, last, result = atom, -1, atom
    while step := _find_step(current, last, moves):
        last, command, current = step
        if not _has_ebuild(repositories, *_old(command)):
            result = current
        elif command[0] == "move":
            return result
    name = next(_find_names(result.partition(":")[0]), "")
    return result if any(_has_ebuild(repositories, part, "") for part in _find_names(name)) else atom


def _find_step(atom: str, last: int, moves: dict[str, list[tuple[int, Command]]]) -> tuple[int, Command, str] | None:
    """Return the next command that changes an atom, with its number and the new atom."""
    for name in _find_names(atom):
        for number, command in moves.get(name, ()):
            valid, _ = parse_updates(" ".join(command)) if number > last else ([], [])
            for parsed in valid:
                if (new := str(update_dbentry(parsed, atom))) != atom:
                    return number, command, new
    return None


def _old(command: Command) -> tuple[str, str]:
    """Return package and slot that a command renames; an empty slot for all."""
    return (command[1], "") if command[0] == "move" else (command[1], command[2])


def _has_ebuild(repositories: Iterable[Path], package: str, slot: str) -> bool:
    """Whether a repository has an ebuild of a package, or of a slot; True if a slot cannot be read."""
    for ebuild in (ebuild for repository in repositories for ebuild in (repository / package).glob("*.ebuild")):
        match = _SLOT.search(ebuild.read_text(encoding="utf-8", errors="replace")) if slot else None
        if not slot or match is None or "$" in match[1] or match[1] == slot:
            return True
    return False
