"""What code built with some flags needs, and what a CPU offers: of all compilers that are known, and the one here.

Which compiler built a package is usually unknown, so it needs what any of them would have made of its flags. Each
one's code is held against what that same compiler says of the CPU.

The requirement of a package from what it was built with.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.errors import GmError, MissingProgram
from gentoomuch_portage.isa import compiler, languages, tables
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.isa import flags as isa_flags
from gentoomuch_portage.isa.requirement import Requirement, machine_flags, untold
from gentoomuch_portage.isa.tables import ARCHES, table

_HERE = ""
"""The name under which the compiler of this machine stands in ``Requirement.by``."""
_MOST = 4000
"""Characters of machine flags that are looked at: nobody writes more, and a compiler's command line has an end."""
_OWN = (("x86_64", "x86_64"), ("i386", "i386"), ("aarch64", "arm64"), ("arm", "arm"), ("CALL_ELF=2", "ppc64le"),
        ("riscv_xlen=64", "riscv64"))  # fmt: skip
_JOINT = (
    ("ARM_FEATURE_SVE", "ARM_FEATURE_BF16_VECTOR_ARITHMETIC", "ARM_FEATURE_SVE_BF16"),
    ("ARM_FEATURE_SVE", "ARM_FEATURE_MATMUL_INT8", "ARM_FEATURE_SVE_MATMUL_INT8"),
)
_ARM_8_4 = re.compile(r"-march=armv(8\.[4-9]|9)")
_KERNEL = {
    "amx_complex": "AMX_COMPLEX", "amx_fp16": "AMX_FP16", "avx512_fp16": "AVX512FP16", "avx_ifma": "AVXIFMA",
    "avx_vnni": "AVXVNNI", "cmpccxadd": "CMPCCXADD", "movrs": "MOVRS", "rdpru": "RDPRU", "sha512": "SHA512",
    "sm3": "SM3", "sm4": "SM4",
}  # fmt: skip
"""Flags of /proc/cpuinfo -> features that the compiler here may be too old to name. Source: Linux, cpufeatures.h."""


def needed(flags: Iterable[str], cache: Path, *, chost: str = "", built_by: str = "") -> Requirement:
    """What code built with machine flags needs, whoever compiled it.

    Args:
        chost: of the package; this machine's where it is empty.
        built_by: ``gcc-12``, or ``gcc``, where that is certain: the answer is then its alone, where the table has it.
    """
    return _needed(tuple(flags), cache, chost, built_by)


@functools.lru_cache(maxsize=256)
def _needed(flags: tuple[str, ...], cache: Path, chost: str, built_by: str) -> Requirement:
    told = " ".join(flags) or "no -march"
    if native := next((flag for flag in flags if flag.endswith("=native")), ""):
        return untold(f"it was built with {native} and does not record what that was")
    if len(told) > _MOST:
        return untold(f"it tells {len(told):,} characters of machine flags")
    arch = isa_flags.arch_of(chost, flags)
    by = _table_says(arch, flags, chost)
    only = {name: found for name, found in by.items() if name == built_by or name.startswith(f"{built_by}-")}
    here = _asked_here(arch, flags, cache, chost)
    by = only or by
    if here.known and not only:
        by[_HERE] = here.features
    if not by:
        return untold(f"no known compiler takes {told}")
    return Requirement(features=frozenset().union(*by.values()), abi=_abi(arch, flags, chost, here), told=told, by=by)


def offered(flags: Iterable[str], cache: Path, *, chost: str = "") -> Requirement:
    """What the CPU that machine flags name has: what the compiler here says, and what the newest ones know."""
    flags = tuple(flags)
    told = " ".join(flags) or "no -march"
    arch = isa_flags.arch_of(chost, flags)
    by = {} if "native" in told else _table_says(arch, flags, chost, least=True)
    here = _asked_here(arch, flags, cache, chost)
    if not by and not here.known:
        return untold(f"no known compiler takes {told}")
    if lost := _switched_off(arch, flags, cache, chost, here):
        by = {name: features - lost for name, features in by.items()}
    found = table(arch)
    sure = here.features | (found.newest(by) if found and by else frozenset())
    if here.known and by:
        by[_HERE] = here.features
    if "native" in told:
        sure |= _running()
    return Requirement(features=sure, abi=_abi(arch, flags, chost, here), told=told, by=by)


def cpu(told: str, cache: Path) -> tuple[str, Requirement]:
    """The architecture of a CPU that is told as a profile tells it, and what it has.

    Args:
        told: a -march or -mcpu name, a psABI level, ``native``, each perhaps with features behind it (``x86-64-v2 aes
            pclmul``), or compiler flags.
    """
    name, *more = told.split() or [""]
    own = isa_flags.arch_of("")
    for arch in (own, *(one for one in ARCHES if one != own)):
        for flags in isa_flags.spelt(arch, name, more):
            found = offered(flags, cache, chost=chost_of(arch))
            if found.known:
                return arch, replace(found, told=told)
    return "", untold(f"no known compiler knows the cpu {told!r}")


def built_for(told: str, cache: Path) -> Requirement:
    """What code needs that somebody built for a CPU, told as for ``cpu``."""
    _, has = cpu(told, cache)
    by = {**has.by, _HERE: has.features} if has.by else {}
    return replace(has, features=has.features.union(*by.values()), by=by)


def needed_on(arch: str, flags: tuple[str, ...], cache: Path, built_by: str = "") -> Requirement:
    """What code for an architecture needs; where its flags are none of that one's, of the one whose they are.

    Args:
        arch: an empty string means this machine's.
    """
    own = arch or isa_flags.arch_of("")
    found = needed(flags, cache, chost=chost_of(own), built_by=built_by)
    if found.known or any(flag.endswith("=native") for flag in flags):
        return found
    others = (needed(flags, cache, chost=chost_of(one)) for one in ARCHES if one != own)
    return next((one for one in others if one.known), found)


def chost_of(arch: str) -> str:
    """A CHOST of an architecture; an empty string, which means this machine, for its own."""
    return "" if arch == isa_flags.arch_of("") else _CHOST[arch]


_CHOST = {"x86_64": "x86_64-pc-linux-gnu", "i386": "i686-pc-linux-gnu", "arm64": "aarch64-unknown-linux-gnu",
          "arm": "armv7a-unknown-linux-gnueabihf", "ppc64le": "powerpc64le-unknown-linux-gnu",
          "riscv64": "riscv64-unknown-linux-gnu"}  # fmt: skip


def _table_says(arch: str, flags: tuple[str, ...], chost: str, *, least: bool = False) -> dict[str, frozenset[str]]:
    found = table(arch)
    if found is None:
        return {}
    if arch in {"x86_64", "i386"}:  # there -mcpu only tunes, but it takes no name of another architecture
        tuned = (flag.replace("-mcpu=", "-march=") for flag in flags if flag.startswith("-mcpu="))
        if not all(map(found.knows, tuned)):
            return {}
    words = isa_flags.words(arch, flags, chost, least=least)
    by = found.answers(words, least=least)
    return {name: _with_joint(features, words) for name, features in by.items()} if arch == "arm64" else by


def _with_joint(features: frozenset[str], words: tuple[str, ...]) -> frozenset[str]:
    """With those features of arm64 that compilers tell where two others meet, whatever each of them came from."""
    more = {joint for one, other, joint in _JOINT if {one, other} <= features}
    if any(map(_ARM_8_4.match, words)) and "ARM_FEATURE_FP16_SCALAR_ARITHMETIC" in features:
        more.add("ARM_FEATURE_FP16_FML")
    return features | more


def _asked_here(arch: str, flags: tuple[str, ...], cache: Path, chost: str) -> Requirement:
    """What the compiler of this machine says, if there is one and it compiles for that architecture."""
    try:
        asked = compiler.find()
    except MissingProgram as error:
        return untold(error.message)
    plain = compiler.macros(asked, (), cache) or frozenset()
    own = next((name for macro, name in _OWN if macro in plain), "")
    if own != arch and {own, arch} != {"x86_64", "i386"}:
        return untold(f"{asked.name} compiles for {own or 'another architecture'}")
    width = {"i386": ("-m32",), "x86_64": ("-m64",)}[arch] if own != arch else ()
    width = () if any(re.fullmatch(r"-m(32|64|x32)", flag) for flag in flags) else width
    named = any(re.match(r"-m(arch|cpu)=", flag) for flag in flags)
    default = isa_flags.default_flags(arch, chost) if arch == "i386" and not named else ()
    return compiler.requirement(asked, (*width, *default, *flags), cache)


def _switched_off(arch: str, flags: tuple[str, ...], cache: Path, chost: str, here: Requirement) -> frozenset[str]:
    """What a CPU lacks because of -mno-X, and all that hangs on it, as the compiler here sees that."""
    left = tuple(re.sub(r"\+no\w+", "", flag) for flag in flags if not flag.startswith("-mno-"))
    if left == flags or not here.known:
        return frozenset()
    return _asked_here(arch, left, cache, chost).features - here.features


def _abi(arch: str, flags: tuple[str, ...], chost: str, here: Requirement) -> frozenset[str]:
    return here.abi if here.known else isa_flags.abi(arch, flags, chost)


def _running() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags = re.search(r"^flags\s*:(.*)$", text, re.M)
    return frozenset(_KERNEL[word] for word in (flags[1].split() if flags else ()) if word in _KERNEL)


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
    found = _together(total, isa_cpu.features_of_flags(use), told)
    libc = isa_flags.libc(variables.get("CHOST", ""), use)
    return Requirement(features=found.features, abi=found.abi | libc, told=found.told, by=found.by)


def _others(variables: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The machine flags of Rust and Go, where the package uses them or nobody knows whether it does."""
    inherited = variables.get("INHERITED")
    arch = isa_flags.arch_of(variables.get("CHOST", ""), machine_flags(variables.get("CFLAGS", "")))
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
    return lambda flags: needed(flags, cache, chost=chost, built_by=built_by)


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
    newest = (tables.compilers(isa_flags.arch_of(chost)) or ("",))[-1]

    def ask(flags: tuple[str, ...]) -> Requirement:
        if any(flag.endswith("=native") for flag in flags):
            return measured(flags)
        return needed(flags, cache, chost=chost, built_by=newest)

    return ask
