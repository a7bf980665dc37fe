"""The requirement of a package from what it was built with."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gentoomuch_portage import compiler, isa
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.requirement import Requirement, machine_flags

Ask = Callable[[tuple[str, ...]], Requirement]
"""Machine flags -> what code built with them needs."""

VARIABLES = ("CC", "CFLAGS", "CXXFLAGS", "FFLAGS", "FCFLAGS", "RUSTFLAGS", "GOAMD64", "CHOST", "INHERITED")
"""What a package tells of how it was built. Source: phase-functions.sh of Portage, __dyn_install."""
_C = ("CFLAGS", "CXXFLAGS", "FFLAGS", "FCFLAGS")
_RUST = re.compile(r"\b(cargo|rust)\b")
_GO = re.compile(r"\bgo-(module|env|vcs-snapshot)\b")


def of_variables(variables: Mapping[str, str], use: Iterable[str], ask: Ask) -> Requirement:
    """What a package needs: the union over its languages, and its cpu_flags_*.

    Args:
        variables: of ``VARIABLES`` those that are known.
        use: its enabled USE flags, cpu_flags_* spelt out.
    """
    asked = [machine_flags(variables.get(name, "")) for name in _C]
    inherited = variables.get("INHERITED", "")
    if _RUST.search(inherited) and (cpu := re.findall(r"target-cpu=(\S+)", variables.get("RUSTFLAGS", ""))):
        asked.append((f"-march={cpu[-1]}",))
    if _GO.search(inherited) and variables.get("GOAMD64", "v1") not in {"", "v1"}:
        asked.append((f"-march=x86-64-{variables['GOAMD64']}",))
    total = [ask(flags) for flags in dict.fromkeys(asked)]
    if unknown := next((one for one in total if not one.known), None):
        return unknown
    features = frozenset().union(*(one.features for one in total))
    told = " ".join(dict.fromkeys(word for flags in asked for word in flags)) or "no -march"
    flags = isa.features_of_flags(use)
    if flags - features:
        told += f" USE=cpu_flags for {' '.join(sorted(name.lower() for name in flags - features))}"
    return Requirement(features=features | flags, abi=total[0].abi, told=told)


def asking(cache: Path, cc: str = "") -> Ask:
    """Ask the compiler of this machine.

    Raises:
        MissingProgram: there is none.
    """
    asked = compiler.find(cc)
    return lambda flags: compiler.requirement(asked, flags, cache)


def recording(cache: Path) -> Callable[[dict[str, str], frozenset[str]], str]:
    """What a package that was just built records of itself; ``unknown`` with the reason where nobody can tell."""

    def requirement(variables: dict[str, str], use: frozenset[str]) -> str:
        try:
            return of_variables(variables, use, asking(cache, variables.get("CC", ""))).to_json()
        except GmError as error:
            return Requirement(features=frozenset(), abi=frozenset(), told=error.message, known=False).to_json()

    return requirement
