"""The requirement of a package from what it was built with."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from gentoomuch_portage import compiler, isa, isa_table, isa_words, knowledge, languages
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.requirement import Requirement, machine_flags, untold

Ask = Callable[[tuple[str, ...]], Requirement]
"""Machine flags -> what code built with them needs."""

VARIABLES = languages.VARIABLES
"""What a package tells of how it was built."""
_C = ("CFLAGS", "CXXFLAGS", "FFLAGS", "FCFLAGS")
_USE = "USE"
"""Stands in ``Requirement.by`` for what USE=cpu_flags_* asks, whoever compiled it."""
_COMPILER = re.compile(r"(?:.*[/-])?(gcc|clang)(?:-(\d+)[\d.]*)?")


def of_variables(variables: Mapping[str, str], use: Iterable[str], ask: Ask, also: Ask | None = None) -> Requirement:
    """What a package needs: the union over its languages, and its cpu_flags_*.

    Args:
        variables: of ``VARIABLES`` those that are known.
        use: its enabled USE flags, USE_EXPAND spelt out.
        also: asked for other languages than C, C++ and Fortran; ``ask`` where it is left out.
    """
    use = frozenset(use)
    always = variables.get("CC", "")
    c = dict.fromkeys(machine_flags(f"{always} {variables.get(name, '')}") for name in _C)
    other = dict.fromkeys(flags for flags in _others(variables) if flags and flags not in c)
    total = [*map(ask, c), *map(also or ask, other)]
    if unknown := next((one for one in total if not one.known), None):
        return unknown
    told = " ".join(dict.fromkeys(word for flags in (*c, *other) for word in flags)) or "no -march"
    found = _together(total, isa.features_of_flags(use), told)
    libc = isa_words.libc(variables.get("CHOST", ""), use)
    return Requirement(features=found.features, abi=found.abi | libc, told=found.told, by=found.by)


def _others(variables: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The machine flags of Rust and Go, where the package uses them or nobody knows whether it does."""
    inherited = variables.get("INHERITED")
    arch = isa_words.arch_of(variables.get("CHOST", ""), machine_flags(variables.get("CFLAGS", "")))
    if inherited is None or languages.RUST.search(inherited):
        yield languages.rust(variables.get("RUSTFLAGS", ""), arch)
    if inherited is None or languages.GO.search(inherited):
        yield languages.go(variables, arch)


def _together(total: list[Requirement], flags: frozenset[str], told: str) -> Requirement:
    """The union of requirements, for each compiler its own; ``flags`` are the features that USE asks for."""
    features = flags.union(*(one.features for one in total))
    if more := flags.difference(*(one.features for one in total)):
        told += f" USE=cpu_flags for {' '.join(sorted(name.lower() for name in more))}"
    by: dict[str, frozenset[str]] = {}
    for one in total:
        for name, found in (one.by or {_USE: one.features}).items():
            by[name] = by.get(name, frozenset()) | found
    guessed = any(one.by for one in total)
    if guessed and flags:
        by[_USE] = by.get(_USE, frozenset()) | flags
    return Requirement(features=features, abi=total[0].abi, told=told, by=by if guessed else {})


def asking(cache: Path, cc: str = "", chost: str = "") -> Ask:
    """Ask all compilers that are known, and the one of this machine: for what does not record what it needs.

    Args:
        cc: of the package; where it names gcc or clang, perhaps with a version, no other built it.
    """
    named = next(filter(None, map(_COMPILER.fullmatch, cc.split())), None)
    built_by = "-".join(filter(None, named.groups())) if named else ""
    return lambda flags: knowledge.needed(flags, cache, chost=chost, built_by=built_by)


def measuring(cache: Path, cc: str = "") -> Ask:
    """Ask the compiler that CC names, and no other: while it builds.

    Raises:
        MissingProgram: there is none.
    """
    asked = compiler.find(cc)
    return lambda flags: compiler.requirement(asked, flags, cache)


def recording(cache: Path) -> Callable[[dict[str, str], frozenset[str]], str]:
    """What a package that was just built records of itself; ``unknown`` with the reason where nobody can tell."""

    def requirement(variables: dict[str, str], use: frozenset[str]) -> str:
        try:
            chost = variables.get("CHOST", "")
            measured = measuring(cache, variables.get("CC") or f"{chost}-gcc")
            return of_variables(variables, use, measured, _llvm(cache, chost, measured)).to_json()
        except GmError as error:
            return untold(error.message).to_json()

    return requirement


def _llvm(cache: Path, chost: str, measured: Ask) -> Ask:
    """Ask for Rust and Go, at build time: the newest LLVM that is known, and for ``native`` the compiler here."""
    newest = (isa_table.compilers(isa_words.arch_of(chost)) or ("",))[-1]

    def ask(flags: tuple[str, ...]) -> Requirement:
        if any(flag.endswith("=native") for flag in flags):
            return measured(flags)
        return knowledge.needed(flags, cache, chost=chost, built_by=newest)

    return ask
