"""Two patch sets that touch the same file of the same package: the second one may not apply any more."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.patches import reading, sets
from gentoomuch_portage.patches.sets import Saved
from gentoomuch_portage.plan import Patches


@dataclass(frozen=True, slots=True)
class Overlap:
    """A file that patches of two sets touch."""

    package: str
    """``CAT/PN``."""
    name: str
    """Of the file, within the sources."""
    places: tuple[tuple[Path, int], ...]
    """File and line of each, in the order of the sets."""
    sets: tuple[str, ...]

    @property
    def text(self) -> str:
        """In one line, with every place."""
        where = " and ".join(f"{path}:{line}" for path, line in self.places)
        return f"patch sets {' and '.join(map(repr, self.sets))} both touch {self.name} of {self.package}: {where}"


def found(parts: Iterable[Patches]) -> Iterator[Overlap]:
    """The overlaps of some sets, in order."""
    parts = tuple(parts)
    if len(parts) < 2:
        return
    seen: dict[tuple[str, str], list[tuple[Saved, int]]] = {}
    for part in parts:
        for one in sets.saved(part.name, part.folder):
            if one.category and one.file.is_file():
                _note(seen, one)
    for (package, name), touching in seen.items():
        if len({one.set for one, _ in touching}) > 1:
            first = {one.set: (one.file, line) for one, line in reversed(touching)}
            order = tuple(part.name for part in parts if part.name in first)
            yield Overlap(package, name, tuple(first[one] for one in order), order)


def _note(seen: dict[tuple[str, str], list[tuple[Saved, int]]], one: Saved) -> None:
    for file in reading.touched(one.file.read_bytes()):
        for name in file.stripped(1):
            seen.setdefault((package_of(one), name), []).append((one, file.line))


def package_of(one: Saved) -> str:
    """``CAT/PN`` of a patch, whatever version and slot its folder names. Source: PMS, "Package names"."""
    import re

    name = one.package.partition(":")[0]
    return f"{one.category}/{re.sub(r'-[0-9][0-9.]*[a-z]?(_[a-z]+[0-9]*)*(-r[0-9]+)?$', '', name)}"
