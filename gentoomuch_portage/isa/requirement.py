# SPDX-License-Identifier: GPL-2.0-or-later
"""What code requires of a CPU, what a CPU provides, and the verdict between them.

The most reliable source is the compiler that builds the package: the instruction sets that it predefines for the
package's own flags. It is queried during the build, and the package records its answer (``GM_REQUIRES``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gentoomuch_portage.isa.abi import LIBCS
from gentoomuch_portage.isa.features import NOT_EMITTED

VERSION = 2
"""Of the JSON of a requirement. Version 1 had ``told`` instead of ``description``; packages of then exist."""
_SHOWN_FIRST = ("avx512f", "avx512vl", "avx2", "bmi2", "fma", "avx", "sse4_2", "ssse3", "sve2", "sve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What code requires of a CPU, or what a CPU provides."""

    features: frozenset[str]
    """Instruction sets beyond the oldest CPU of this ABI, named by the compiler's macros: ``AVX2``."""
    abi: frozenset[str]
    """Macros of the ABI. Code of another ABI cannot run on any CPU."""
    description: str
    """The flags or the CPU, for people: ``-march=haswell``."""
    known: bool = True
    """False if it cannot be determined; ``description`` is the reason."""
    by: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False)
    """If the compiler of the package is unknown: the answer of each possible one, and of the local one under "".
    ``features`` is then their union for code, and what is certain for a CPU."""

    @property
    def runs_everywhere(self) -> bool:
        """Whether it is that of a package without machine code: code has at least the macros of its ABI."""
        return self.known and not self.features and not self.abi

    def to_json(self) -> str:
        """Format as one line; equal requirements give equal text."""
        features, abi = sorted(self.features), sorted(self.abi)
        content = {"v": VERSION, "features": features, "abi": abi, "description": self.description}
        return json.dumps(content | {"known": self.known}, sort_keys=True)

    def to_cache(self) -> dict[str, Any]:
        """Return all fields, as values for JSON; ``parse_cached`` parses them."""
        by = {name: sorted(features) for name, features in self.by.items()}
        fields = {"description": self.description, "known": self.known, "by": by}
        return {"features": sorted(self.features), "abi": sorted(self.abi), **fields}


UNKNOWN = Requirement(features=frozenset(), abi=frozenset(), description="build flags unknown", known=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether code runs on a CPU."""

    accept: bool
    code: str
    """``runs``, ``cpu``, ``abi``, ``unknown``."""
    missing: tuple[str, ...] = ()
    """The features that the CPU lacks, in lower case, sorted."""
    reason: str = ""
    """For people; empty if accepted."""


def judge(needs: Requirement, has: Requirement, *, unknown: str = "reject") -> Verdict:
    """Decide whether code runs on a CPU.

    Args:
        needs: of the code.
        has: what the CPU provides.
        unknown: ``reject`` or ``accept`` if either is unknown.
    """
    if needs.runs_everywhere:
        return Verdict(accept=True, code="runs")
    if not needs.known or not has.known:
        reason = needs.description if not needs.known else has.description
        accept = unknown == "accept"
        return Verdict(accept=accept, code="unknown", reason="" if accept else reason)
    if difference := _compare_abi(needs.abi, has.abi):
        return Verdict(accept=False, code="abi", reason=f"is of another ABI ({' '.join(sorted(difference))})")
    if missing := sorted(feature.lower() for feature in _find_missing(needs, has) if feature not in NOT_EMITTED):
        reason = f"needs {_summarise(missing)} ({needs.description})"
        return Verdict(accept=False, code="cpu", missing=tuple(missing), reason=reason)
    return Verdict(accept=True, code="runs")


def _find_missing(needs: Requirement, has: Requirement) -> frozenset[str]:
    """Find features that the CPU lacks, comparing answers of the same compiler.

    Compilers differ in the features that they can name and in what they attribute to a CPU. A comparison across
    compilers would reject code for names alone.
    """
    if not needs.by:
        return needs.features - has.features
    return frozenset().union(*(features - has.by.get(name, has.features) for name, features in needs.by.items()))


def _compare_abi(needs: frozenset[str], has: frozenset[str]) -> frozenset[str]:
    """Return the difference of two ABIs; an unknown libc or ABI differs from none."""
    if not needs & LIBCS or not has & LIBCS:
        needs, has = needs - LIBCS, has - LIBCS
    return needs ^ has if needs and has else frozenset()


def _summarise(missing: list[str], *, most: int = 4) -> str:
    """Name the best known of several features, and count the rest."""
    ordered = sorted(missing, key=lambda name: (_SHOWN_FIRST.index(name) if name in _SHOWN_FIRST else 99, name))
    more = f" and {len(missing) - most} more" if len(missing) > most else ""
    return ", ".join(ordered[:most]) + more


def parse_requirement(text: str) -> Requirement:
    """Parse a recorded requirement of any version; an unknown one with the reason if it is invalid."""
    try:
        content = json.loads(text)
        if content["v"] not in {1, VERSION}:
            return unknown_requirement(f"its requirement is of version {content['v']}")
        features, abi = frozenset(_parse_names(content["features"])), frozenset(_parse_names(content["abi"]))
        description = str(content["told" if content["v"] == 1 else "description"])[:200]
        if not description.isprintable():  # it is printed to a terminal, and anybody may have written it
            raise ValueError("not a line of text")
        return Requirement(features=features, abi=abi, description=description, known=content["known"] is True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return unknown_requirement(f"cannot parse its requirement: {type(error).__name__}")


def parse_cached(value: Mapping[str, Any]) -> Requirement:
    """Parse what ``Requirement.to_cache`` returns.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is not valid.
    """
    return Requirement(
        features=frozenset(_parse_names(value["features"])),
        abi=frozenset(_parse_names(value["abi"])),
        description=str(value["description"]),
        known=value["known"] is True,
        by={str(name): frozenset(_parse_names(features)) for name, features in value["by"].items()},
    )


def _parse_names(names: Any) -> list[str]:
    if isinstance(names, list) and all(isinstance(name, str) and re.fullmatch(r"\w{1,40}", name) for name in names):
        return names
    raise ValueError("not a list of names")


def unknown_requirement(reason: str) -> Requirement:
    """Create the requirement of code whose requirement cannot be determined."""
    return Requirement(features=frozenset(), abi=frozenset(), description=reason, known=False)


def machine_flags(flags: str) -> tuple[str, ...]:
    """Return those compiler flags that choose instruction sets or an ABI, in order; of duplicates the last one.

    -mtune, -O, -f, -W and -D add no instruction, and -mllvm is followed by an option of LLVM's passes. The last -march
    and the last -mcpu are kept: the compiler decides between the two.
    """
    words = [word for word in flags.split() if re.match(r"-m(?!tune\b|llvm)", word)]
    last = {word.partition("=")[0]: word for word in words if re.match(r"-m(arch|cpu)=", word)}
    others = (word for word in words if not re.match(r"-m(arch|cpu)=", word))
    return tuple(dict.fromkeys(reversed([*last.values(), *others])))[::-1]
