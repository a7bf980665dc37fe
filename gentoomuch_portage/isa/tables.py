# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded answers of compilers that are not installed: a table for each architecture, see tools/make-isa-table."""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ARCHES = ("x86_64", "i386", "arm64", "arm", "ppc64le", "riscv64")


@dataclass(frozen=True, slots=True)
class Table:
    """The answers of some compilers for one architecture."""

    compilers: tuple[str, ...]
    """``gcc-11`` ... ``clang-22``"""
    features: tuple[str, ...]
    sets: tuple[tuple[int, ...], ...]
    """Sets of indexes into ``features``."""
    options: Mapping[str, int | list[int]]
    """An option -> index of its set for each compiler, or one for all; -1 if the compiler rejects it."""

    def accepts(self, option: str) -> bool:
        """Whether some compiler accepts an option."""
        return option in self.options

    def answers(self, options: Iterable[str], *, least: bool = False) -> dict[str, frozenset[str]]:
        """Return the features beyond the oldest CPU, for each compiler that accepts all options.

        Args:
            options: as ``flags.normalise`` returns them; a later one overrides an earlier one.
            least: a disabled feature stays disabled, whatever follows: for a CPU, not for code.
        """
        options = tuple(options)
        answers = {}
        for index, name in enumerate(self.compilers):
            rows = [self._row(option, index) for option in options]
            if -1 not in rows:
                answers[name] = self._evaluate(options, rows, least=least)
        return answers

    def newest(self, answers: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """Return the features that the newest gcc and the newest clang report, of those that can name a feature."""
        nameable = {name: self._vocabulary(index) for index, name in enumerate(self.compilers) if name in answers}
        certain = set()
        for feature in frozenset().union(*answers.values()):
            newest = {name.partition("-")[0]: name for name in nameable if feature in nameable[name]}
            if all(feature in answers[name] for name in newest.values()):
                certain.add(feature)
        return frozenset(certain)

    def _vocabulary(self, index: int) -> frozenset[str]:
        rows = {row if isinstance(row, int) else row[index] for row in self.options.values()} - {-1}
        return frozenset(self.features[feature] for row in rows for feature in self.sets[row])

    def _row(self, option: str, index: int) -> int:
        row = self.options.get(option, -1)
        return row if isinstance(row, int) else row[index]

    def _evaluate(self, options: tuple[str, ...], rows: list[int], *, least: bool) -> frozenset[str]:
        enabled: set[int] = set()
        disabled: set[int] = set()
        for option, row in zip(options, rows, strict=True):
            if option.startswith(("-mno-", "+no")) or option.endswith("*"):
                enabled -= set(self.sets[row])
                disabled |= set() if option.endswith("*") else set(self.sets[row])
            else:
                enabled |= set(self.sets[row])
        return frozenset(self.features[feature] for feature in (enabled - disabled if least else enabled))


@functools.lru_cache(maxsize=len(ARCHES))
def table(arch: str) -> Table | None:
    """Load the table of an architecture; None if it has none."""
    if arch not in ARCHES:
        return None
    file = Path(__file__).with_name("data") / f"{arch}.json"
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    sets = tuple(map(tuple, content["sets"]))
    return Table(tuple(content["compilers"]), tuple(content["features"]), sets, content["options"])


def cpus(arch: str) -> tuple[str, ...]:
    """Return the names of CPUs and levels that a recorded compiler accepts, sorted."""
    options = loaded.options if (loaded := table(arch)) else ()
    names = (option.partition("=")[2] for option in options if option.startswith(("-march=", "-mcpu=")))
    return tuple(sorted({*filter(None, names)}))


def compilers(arch: str) -> tuple[str, ...]:
    """Return the compilers whose answers are recorded for an architecture: ``gcc-12``."""
    return loaded.compilers if (loaded := table(arch)) else ()
