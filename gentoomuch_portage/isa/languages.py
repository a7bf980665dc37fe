"""Flags of Rust and Go as machine flags of a C compiler: their names are LLVM's, which gcc and clang share."""

import re
from collections.abc import Iterator, Mapping

RUST = re.compile(r"\b(cargo|rust|rust-toolchain)\b")
GO = re.compile(r"\bgo-(module|env|vcs-snapshot)\b")
FORTRAN = re.compile(r"\bfortran-2\b")
GO_VARIABLES = ("GOAMD64", "GO386", "GOARM", "GOARM64", "GOPPC64", "GORISCV64")
VARIABLES = ("CC", "CFLAGS", "CXXFLAGS", "FFLAGS", "FCFLAGS", "RUSTFLAGS", *GO_VARIABLES, "CHOST", "INHERITED")
"""What decides for which CPU code is made."""
LOST = ("FFLAGS", "FCFLAGS", "RUSTFLAGS", *GO_VARIABLES)
"""Those of them that a package tells in no file of its own, but only in the environment of its build."""
_EXPORTED = re.compile(r'^declare -x (\w+)="((?:[^"\\]|\\.)*)"$', re.M)
"""A variable in bash's words; one with control characters is written otherwise."""
_CODEGEN = re.compile(r"(?:-C\s*|--codegen[= ])(target-cpu|target-feature)=(\S+)")
_NAMES: Mapping[str, str] = {
    "bmi1": "bmi", "cmpxchg16b": "cx16", "crt-static": "", "ermsb": "", "lahfsahf": "sahf", "pclmulqdq": "pclmul",
    "rdrand": "rdrnd", "x87": "",
}  # fmt: skip
"""Where rustc's name is not that of the option -m; an empty one is no instruction set that code could miss.
Source: ``rustc --print target-features``."""
_VERSION = re.compile(r"v[89](\.\d)?a")
_ARM64: Mapping[str, str] = {
    "bti": "", "crt-static": "", "dit": "", "dpb": "", "dpb2": "", "ecv": "", "fhm": "fp16fml", "jsconv": "jscvt",
    "lor": "", "lse2": "", "mte": "memtag", "neon": "simd", "outline-atomics": "", "paca": "pauth", "pacg": "pauth",
    "pan": "", "pmuv3": "", "rand": "rng", "ras": "", "rdm": "rdma", "spe": "", "vh": "",
}  # fmt: skip
"""The same for what stands behind the + of -march: privileged, a hint, or a promise about what is there anyway is
an empty one. ``lse2`` only lets plain loads be atomic, ``outline-atomics`` asks the CPU at run time.
Source: the Arm ARM, "Arm architecture extensions"."""
_WITH_CX16 = frozenset({"athlon64-sse3", "k8-sse3", "opteron-sse3"})
"""CPUs to which LLVM's back end gives cmpxchg16b and clang's predefined macros do not."""


def exported(environment: str) -> dict[str, str]:
    """The variables that the environment of a build exports.

    Args:
        environment: as Portage saves it. Source: __save_ebuild_env; ``declare -p`` of bash(1).
    """
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in _EXPORTED.findall(environment)}


def lost(inherited: str) -> bool:
    """Whether a package with these eclasses uses a language whose flags are in no file of its own."""
    return bool(RUST.search(inherited) or GO.search(inherited) or FORTRAN.search(inherited))


def rustflags(cpu: str, flags: tuple[str, ...]) -> str:
    """What tells rustc of a CPU that ``flags`` mean to a C compiler.

    Args:
        cpu: as a profile tells it: a name, perhaps with features behind it.
    """
    name, *_ = cpu.split()
    if version := re.fullmatch(r"armv([89](?:\.\d)?)-a", name.partition("+")[0]):
        return f"-C target-feature=+v{version[1]}a"
    rusts = {theirs: ours for ours, theirs in _NAMES.items() if theirs}
    more = [f"+{rusts.get(one, one)}" for flag in flags if "=" not in flag for one in (flag.removeprefix("-m"),)]
    return f"-C target-cpu={name}" + (f" -C target-feature={','.join(more)}" if more else "")


def rust(flags: str, arch: str) -> tuple[str, ...]:
    """Machine flags that mean what RUSTFLAGS mean; what they switch off is not counted.

    Source: the rustc book, "Codegen Options": target-cpu, target-feature.
    """
    cpu, features = "", []
    for option, value in _CODEGEN.findall(flags):
        if option == "target-cpu":
            cpu = value
        else:
            features += [one[1:] for one in value.strip("\"'").split(",") if one.startswith("+")]
    features = [one for one in features if one not in {"crt-static", "relax"}]  # for the linker
    return tuple(_rust_flags(cpu, features, arch))


def _rust_flags(cpu: str, features: list[str], arch: str) -> Iterator[str]:
    if arch in {"x86_64", "i386", "ppc64le", ""}:
        if cpu and cpu != "generic":
            yield f"{'-mcpu' if arch == 'ppc64le' else '-march'}={cpu}"
        if cpu in _WITH_CX16:
            yield "-mcx16"
        yield from (f"-m{name}" for one in features if (name := _NAMES.get(one, one)))
    elif arch == "riscv64":
        if cpu and not cpu.startswith("generic"):
            yield f"-mcpu={cpu}"
        if features:
            yield "-march=rv64gc_" + "_".join(features)
    else:
        wanted = [name for one in features if (name := _ARM64.get(one, one)) and not _VERSION.fullmatch(name)]
        version = max((one for one in features if _VERSION.fullmatch(one)), default="")
        if cpu and cpu != "generic":
            yield "+".join([f"-mcpu={cpu}", *wanted])
        elif wanted:
            yield "+".join([f"-march={'armv8-a' if arch == 'arm64' else 'armv7-a'}", *wanted])
        if version:
            yield f"-march=arm{version.removesuffix('a')}-a"


def go(variables: Mapping[str, str], arch: str) -> tuple[str, ...]:
    """Machine flags that mean what Go's variables mean for an architecture.

    Source: go.dev, "Minimum requirements" (GOAMD64, GOARM, ...), and ``go help environment``.
    """
    name = {"x86_64": "GOAMD64", "i386": "GO386", "arm": "GOARM", "arm64": "GOARM64"}.get(arch, "")
    name = name or {"ppc64le": "GOPPC64", "riscv64": "GORISCV64"}.get(arch, "")
    told = variables.get(name, "").strip()
    first, *more = told.split(",") if told else [""]
    match name, first:
        case _, "":
            return ()
        case "GOAMD64", level:
            return () if level == "v1" else (f"-march=x86-64-{level}",)
        case "GO386", kind:
            return () if kind == "softfloat" else ("-march=pentium4", "-msse2")
        case "GOARM", version:
            unit = () if "softfloat" in more or version == "5" else (f"-mfpu={'vfpv2' if version == '6' else 'vfpv3'}",)
            return ({"5": "-march=armv5te", "6": "-march=armv6"}.get(version, "-march=armv7-a"), *unit)
        case "GOARM64", version:
            base = version.removeprefix("v").removesuffix(".0")
            return ("+".join([f"-march=armv{base}-a", *more]),)
        case "GOPPC64", cpu:
            return (f"-mcpu={cpu}",)
    return (f"-march={first}",)
