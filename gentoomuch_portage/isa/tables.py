"""What compilers that are not here make of flags: a table for each architecture, made by tools/make-isa-table."""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ARCHES = ("x86_64", "i386", "arm64", "arm", "ppc64le", "riscv64")


@dataclass(frozen=True, slots=True)
class Table:
    """The answers of some compilers for one architecture."""

    compilers: tuple[str, ...]
    """``gcc-11`` ... ``clang-22``"""
    features: tuple[str, ...]
    sets: tuple[tuple[int, ...], ...]
    """Each of numbers of features."""
    options: Mapping[str, int | list[int]]
    """An option -> its set for each compiler, in their order, or one for all of them; -1 where it is refused."""

    def knows(self, word: str) -> bool:
        """Whether some compiler takes a word."""
        return word in self.options

    def answers(self, words: Iterable[str], *, least: bool = False) -> dict[str, frozenset[str]]:
        """The features beyond the oldest CPU, for each compiler that takes all the words.

        Args:
            words: as ``isa_words`` makes them; a later one wins over an earlier one.
            least: what is switched off stays off whatever stands behind: for what a CPU has, not for what code needs.
        """
        words = tuple(words)
        found = {}
        for number, name in enumerate(self.compilers):
            rows = [self._row(word, number) for word in words]
            if -1 not in rows:
                found[name] = self._evaluated(words, rows, least=least)
        return found

    def newest(self, answers: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """The features of a CPU as they are known best: what the newest gcc and clang tell that can name it."""
        able = {name: self._vocabulary(number) for number, name in enumerate(self.compilers) if name in answers}
        found = set()
        for one in frozenset().union(*answers.values()):
            last = {name.partition("-")[0]: name for name in able if one in able[name]}
            if all(one in answers[name] for name in last.values()):
                found.add(one)
        return frozenset(found)

    def _vocabulary(self, number: int) -> frozenset[str]:
        rows = {row if isinstance(row, int) else row[number] for row in self.options.values()} - {-1}
        return frozenset(self.features[one] for row in rows for one in self.sets[row])

    def _row(self, word: str, number: int) -> int:
        row = self.options.get(word, -1)
        return row if isinstance(row, int) else row[number]

    def _evaluated(self, words: tuple[str, ...], rows: list[int], *, least: bool) -> frozenset[str]:
        found: set[int] = set()
        lost: set[int] = set()
        for word, row in zip(words, rows, strict=True):
            if word.startswith(("-mno-", "+no")) or word.endswith("*"):
                found -= set(self.sets[row])
                lost |= set() if word.endswith("*") else set(self.sets[row])
            else:
                found |= set(self.sets[row])
        return frozenset(self.features[one] for one in (found - lost if least else found))


@functools.lru_cache(maxsize=len(ARCHES))
def table(arch: str) -> Table | None:
    """The table of an architecture; None where there is none."""
    from importlib import resources  # takes its time, and the names above are asked for at each start

    if arch not in ARCHES:
        return None
    file = resources.files("gentoomuch_portage") / "isa/data" / f"{arch}.json"
    if not file.is_file():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return Table(
        tuple(found["compilers"]), tuple(found["features"]), tuple(map(tuple, found["sets"])), found["options"]
    )


def cpus(arch: str) -> tuple[str, ...]:
    """The names of CPUs, and of what some of them have in common, that a known compiler takes, sorted."""
    found = table(arch)
    chosen = (word.partition("=") for word in found.options if word.startswith(("-march=", "-mcpu="))) if found else ()
    return tuple(sorted({name for _, _, name in chosen if name}))


def compilers(arch: str) -> tuple[str, ...]:
    """The compilers whose answers are known for an architecture: ``gcc-12``."""
    found = table(arch)
    return found.compilers if found else ()
