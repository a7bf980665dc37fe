# SPDX-License-Identifier: GPL-2.0-or-later
"""Determine from flags or build variables what code requires, and what a CPU provides.

The compiler that built a package is usually unknown, so the package requires whatever any of them emits for its flags.
The answer of each is compared with what the same compiler attributes to the CPU.
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
from gentoomuch_portage.isa.abi import libc
from gentoomuch_portage.isa.features import X86
from gentoomuch_portage.isa.requirement import Requirement, machine_flags, unknown_requirement
from gentoomuch_portage.isa.tables import ARCHES, table
from gentoomuch_portage.isa.variables import GO, PASSED_ON, RUST

_LOCAL = ""
"""The name of this machine's compiler in ``Requirement.by``."""
_MOST = 4000
"""Characters of machine flags that are evaluated."""
_OWN = (("x86_64", "x86_64"), ("i386", "i386"), ("aarch64", "arm64"), ("arm", "arm"), ("CALL_ELF=2", "ppc64le"),
        ("riscv_xlen=64", "riscv64"))  # fmt: skip
_JOINT = (
    ("ARM_FEATURE_SVE", "ARM_FEATURE_BF16_VECTOR_ARITHMETIC", "ARM_FEATURE_SVE_BF16"),
    ("ARM_FEATURE_SVE", "ARM_FEATURE_MATMUL_INT8", "ARM_FEATURE_SVE_MATMUL_INT8"),
)
"""Two features of arm64, and the macro that compilers predefine if both are enabled."""
_ARM_8_4 = re.compile(r"-march=armv(8\.[4-9]|9)")
_BY_KERNEL = {feature.macro: feature.kernel for feature in X86 if feature.kernel}


def requirement(flags: Iterable[str], cache: Path, *, chost: str = "", built_by: str = "") -> Requirement:
    """Return what code built with machine flags requires, for any compiler.

    Args:
        chost: of the package; default: this machine's.
        built_by: ``gcc-12``, or ``gcc``, if that is certain; then only its recorded answers are used, if any.
    """
    return _requirement(tuple(flags), cache, chost, built_by)


@functools.lru_cache(maxsize=256)
def _requirement(flags: tuple[str, ...], cache: Path, chost: str, built_by: str) -> Requirement:
    description = " ".join(flags) or "no -march"
    if native := next((flag for flag in flags if flag.endswith("=native")), ""):
        return unknown_requirement(f"built with {native}, without a record of the CPU")
    if len(description) > _MOST:
        return unknown_requirement(f"its machine flags have {len(description):,} characters")
    arch = isa_flags.arch_of(chost, flags)
    by = _query_table(arch, flags, chost)
    certain = {name: features for name, features in by.items() if name == built_by or name.startswith(f"{built_by}-")}
    local = _query_local(arch, flags, cache, chost)
    by = certain or by
    if local.known and not certain:
        by[_LOCAL] = local.features
    if not by:
        return unknown_requirement(f"no known compiler accepts {description}")
    features = frozenset().union(*by.values())
    return Requirement(features=features, abi=_abi(arch, flags, chost, local), description=description, by=by)


def capabilities(flags: Iterable[str], cache: Path, *, chost: str = "") -> Requirement:
    """Return what the CPU provides that machine flags name, from the local and the newest recorded compilers."""
    flags = tuple(flags)
    description = " ".join(flags) or "no -march"
    arch = isa_flags.arch_of(chost, flags)
    by = {} if "native" in description else _query_table(arch, flags, chost, least=True)
    local = _query_local(arch, flags, cache, chost)
    if not by and not local.known:
        return unknown_requirement(f"no known compiler accepts {description}")
    if disabled := _find_disabled(arch, flags, cache, chost, local):
        by = {name: features - disabled for name, features in by.items()}
    recorded = table(arch)
    certain = local.features | (recorded.newest(by) if recorded and by else frozenset())
    if local.known and by:
        by[_LOCAL] = local.features
    if "native" in description:
        certain |= _query_kernel() - disabled
    return Requirement(features=certain, abi=_abi(arch, flags, chost, local), description=description, by=by)


def capabilities_of_cpu(cpu: str, cache: Path) -> tuple[str, Requirement]:
    """Return the architecture of a CPU and what it provides.

    Args:
        cpu: a -march or -mcpu name, a psABI level or ``native``, optionally with additional features
            (``x86-64-v2 aes pclmul``); or compiler flags.
    """
    name, *more = cpu.split() or [""]
    own = isa_flags.arch_of("")
    for arch in (own, *(other for other in ARCHES if other != own)):
        for flags in isa_flags.spell(arch, name, more):
            provides = capabilities(flags, cache, chost=chost_of(arch))
            if provides.known:
                return arch, replace(provides, description=cpu)
    return "", unknown_requirement(f"no known compiler accepts the cpu {cpu!r}")


def requirement_for_cpu(cpu: str, cache: Path) -> Requirement:
    """Return what code that was built for a CPU may require; the CPU is named as for ``capabilities_of_cpu``."""
    _, has = capabilities_of_cpu(cpu, cache)
    by = {**has.by, _LOCAL: has.features} if has.by else {}
    return replace(has, features=has.features.union(*by.values()), by=by)


def requirement_on(arch: str, flags: tuple[str, ...], cache: Path, built_by: str = "") -> Requirement:
    """Return what code for an architecture requires; if its flags belong to another one, what it requires there.

    Args:
        arch: an empty string means this machine's.
    """
    own = arch or isa_flags.arch_of("")
    needs = requirement(flags, cache, chost=chost_of(own), built_by=built_by)
    if needs.known or any(flag.endswith("=native") for flag in flags):
        return needs
    others = (requirement(flags, cache, chost=chost_of(other)) for other in ARCHES if other != own)
    return next((other for other in others if other.known), needs)


def chost_of(arch: str) -> str:
    """Return a CHOST of an architecture; for this machine's an empty string."""
    return "" if arch == isa_flags.arch_of("") else _CHOST[arch]


_CHOST = {"x86_64": "x86_64-pc-linux-gnu", "i386": "i686-pc-linux-gnu", "arm64": "aarch64-unknown-linux-gnu",
          "arm": "armv7a-unknown-linux-gnueabihf", "ppc64le": "powerpc64le-unknown-linux-gnu",
          "riscv64": "riscv64-unknown-linux-gnu"}  # fmt: skip


def _query_table(arch: str, flags: tuple[str, ...], chost: str, *, least: bool = False) -> dict[str, frozenset[str]]:
    recorded = table(arch)
    if recorded is None:
        return {}
    if arch in {"x86_64", "i386"}:  # there -mcpu only tunes, but a name of another architecture is an error
        tuned = (flag.replace("-mcpu=", "-march=") for flag in flags if flag.startswith("-mcpu="))
        if not all(map(recorded.accepts, tuned)):
            return {}
    options = isa_flags.normalise(arch, flags, chost, least=least)
    by = recorded.answers(options, least=least)
    return {name: _add_joint(features, options) for name, features in by.items()} if arch == "arm64" else by


def _add_joint(features: frozenset[str], options: tuple[str, ...]) -> frozenset[str]:
    """Add those features of arm64 that compilers predefine if two others are enabled."""
    more = {joint for first, second, joint in _JOINT if {first, second} <= features}
    if any(map(_ARM_8_4.match, options)) and "ARM_FEATURE_FP16_SCALAR_ARITHMETIC" in features:
        more.add("ARM_FEATURE_FP16_FML")
    return features | more


def _query_local(arch: str, flags: tuple[str, ...], cache: Path, chost: str) -> Requirement:
    """Query the compiler of this machine, if one is installed and compiles for that architecture."""
    try:
        local = compiler.find()
    except MissingProgram as error:
        return unknown_requirement(error.message)
    plain = compiler.predefined_macros(local, (), cache) or frozenset()
    own = next((name for macro, name in _OWN if macro in plain), "")
    if own != arch and {own, arch} != {"x86_64", "i386"}:
        return unknown_requirement(f"{local.name} compiles for {own or 'another architecture'}")
    width = {"i386": ("-m32",), "x86_64": ("-m64",)}[arch] if own != arch else ()
    width = () if any(re.fullmatch(r"-m(32|64|x32)", flag) for flag in flags) else width
    named = any(re.match(r"-m(arch|cpu)=", flag) for flag in flags)
    default = isa_flags.default_flags(arch, chost) if arch == "i386" and not named else ()
    return compiler.measure(local, (*width, *default, *flags), cache)


def _find_disabled(arch: str, flags: tuple[str, ...], cache: Path, chost: str, local: Requirement) -> frozenset[str]:
    """Find what -mno-X disables, including all features that depend on it, with the local compiler."""
    enabled = tuple(re.sub(r"\+no\w+", "", flag) for flag in flags if not flag.startswith("-mno-"))
    if enabled == flags or not local.known:
        return frozenset()
    return _query_local(arch, enabled, cache, chost).features - local.features


def _abi(arch: str, flags: tuple[str, ...], chost: str, local: Requirement) -> frozenset[str]:
    return local.abi if local.known else isa_flags.abi(arch, flags, chost)


def with_kernel(has: Requirement) -> Requirement:
    """Add those features of this machine that the kernel names and an old compiler may not know."""
    return replace(has, features=has.features | _query_kernel()) if has.known else has


def _query_kernel() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    line = re.search(r"^flags\s*:(.*)$", text, re.M)
    flags = set(line[1].split()) if line else set()
    return frozenset(macro for macro, flag in _BY_KERNEL.items() if flag in flags)


Query = Callable[[tuple[str, ...]], Requirement]
"""Machine flags -> what code built with them requires."""

_C = ("CFLAGS", "CXXFLAGS", "FFLAGS", "FCFLAGS")
_USE = "USE"
"""The name in ``Requirement.by`` for what USE=cpu_flags_* requires, with any compiler."""
_COMPILER = re.compile(r"(?:.*[/-])?(gcc|clang)(?:-(\d+)[\d.]*)?")


def package_requirement(
    variables: Mapping[str, str], use: Iterable[str], query: Query, other_query: Query | None = None
) -> Requirement:
    """Return what a package requires: the union over its languages and its cpu_flags_*.

    Args:
        variables: those of ``isa.variables.VARIABLES`` that are known.
        use: its enabled USE flags, with USE_EXPAND.
        other_query: for other languages than C, C++ and Fortran; default: ``query``.
    """
    use = frozenset(use)
    always = variables.get("CC", "")
    flags = [*(variables.get(name, "") for name in _C), *_find_passed_flags(variables)]
    c = dict.fromkeys(machine_flags(f"{always} {text}") for text in flags)
    others = dict.fromkeys(flags for flags in _translate_others(variables) if flags and flags not in c)
    needs = [*map(query, c), *map(other_query or query, others)]
    if unknown := next((need for need in needs if not need.known), None):
        return unknown
    description = " ".join(dict.fromkeys(word for flags in (*c, *others) for word in flags)) or "no -march"
    union = _unite(needs, isa_cpu.features_of_use(use), description)
    return replace(union, abi=union.abi | libc(variables.get("CHOST", ""), use))


def _find_passed_flags(variables: Mapping[str, str]) -> Iterator[str]:
    """Find machine flags that reach a compiler by other variables than CFLAGS and similar ones."""
    for name in PASSED_ON:
        if flags := languages.find_machine_flags(variables.get(name, "")):
            yield flags


def _translate_others(variables: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Translate the flags of Rust and Go, unless the package is known not to use them."""
    inherited = variables.get("INHERITED")
    arch = isa_flags.arch_of(variables.get("CHOST", ""), machine_flags(variables.get("CFLAGS", "")))
    if inherited is None or RUST.search(inherited):
        yield languages.translate_rust(variables.get("RUSTFLAGS", ""), arch)
    if inherited is None or GO.search(inherited):
        yield languages.translate_go(variables, arch)


def _unite(needs: list[Requirement], flags: frozenset[str], description: str) -> Requirement:
    """Unite requirements, separately for each compiler; ``flags`` are the features that USE requires."""
    features = flags.union(*(need.features for need in needs))
    if more := flags.difference(*(need.features for need in needs)):
        description += f" USE=cpu_flags for {' '.join(sorted(name.lower() for name in more))}"
    by: dict[str, frozenset[str]] = {}
    for need in needs:
        for name, answer in (need.by or {_USE: need.features}).items():
            by[name] = by.get(name, frozenset()) | answer
    guessed = any(need.by for need in needs)
    if guessed and flags:
        by[_USE] = by.get(_USE, frozenset()) | flags
    return Requirement(features=features, abi=needs[0].abi, description=description, by=by if guessed else {})


def query_all(cache: Path, cc: str = "", chost: str = "") -> Query:
    """Return a query of all recorded compilers and the local one, for packages without a recorded requirement.

    Args:
        cc: of the package. If it names gcc or clang, perhaps with a version, only that one is considered.
    """
    named = next(filter(None, map(_COMPILER.fullmatch, cc.split())), None)
    built_by = "-".join(filter(None, named.groups())) if named else ""
    return lambda flags: requirement(flags, cache, chost=chost, built_by=built_by)


def query_compiler(cache: Path, cc: str = "") -> Query:
    """Return a query of the compiler that CC names, for use during a build.

    Raises:
        MissingProgram: none is installed.
    """
    local = compiler.find(cc)
    return lambda flags: compiler.measure(local, flags, cache)


def recorder(cache: Path) -> Callable[[dict[str, str], frozenset[str]], str]:
    """Return a function that formats what a package just built records of itself; unknown with a reason on errors."""

    def format_requirement(variables: dict[str, str], use: frozenset[str]) -> str:
        try:
            chost = variables.get("CHOST", "")
            query = query_compiler(cache, variables.get("CC") or f"{chost}-gcc")
            return package_requirement(variables, use, query, _query_llvm(cache, chost, query)).to_json()
        except GmError as error:
            return unknown_requirement(error.message).to_json()

    return format_requirement


def _query_llvm(cache: Path, chost: str, local: Query) -> Query:
    """Return a query for Rust and Go during a build: the newest recorded LLVM; for ``native`` the local compiler."""
    newest = (tables.compilers(isa_flags.arch_of(chost)) or ("",))[-1]

    def query(flags: tuple[str, ...]) -> Requirement:
        if any(flag.endswith("=native") for flag in flags):
            return local(flags)
        return requirement(flags, cache, chost=chost, built_by=newest)

    return query
