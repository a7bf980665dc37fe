# SPDX-License-Identifier: GPL-2.0-or-later
"""Translate CPU flags of Rust and Go into machine flags of a C compiler; their names are those of LLVM."""

import re
from collections.abc import Iterator, Mapping

from gentoomuch_portage.isa.features import X86

_EMBEDDED = re.compile(r"(?<![\w-])-m(?=[a-z0-9])(?!llvm\b)[\w.+=-]+")
"""A machine flag within other text: ``CFLAGS='-O2 -mavx2'``."""
_CODEGEN = re.compile(r"(?:-C\s*|--codegen[= ])(target-cpu|target-feature)=(\S+)")
_SWITCHES: Mapping[str, str] = {
    **{feature.rust: feature.switch for feature in X86 if feature.rust}, "crt-static": "", "ermsb": "", "x87": "",
}  # fmt: skip
"""rustc's name -> what follows -m, where they differ; empty for what code of a package cannot require."""
_VERSION = re.compile(r"v[89](\.\d)?a")
_ARM64: Mapping[str, str] = {
    "bti": "", "crt-static": "", "dit": "", "dpb": "", "dpb2": "", "ecv": "", "fhm": "fp16fml", "jsconv": "jscvt",
    "lor": "", "lse2": "", "mte": "memtag", "neon": "simd", "outline-atomics": "", "paca": "pauth", "pacg": "pauth",
    "pan": "", "pmuv3": "", "rand": "rng", "ras": "", "rdm": "rdma", "spe": "", "vh": "",
}  # fmt: skip
"""The same for what follows + in -march; empty for privileged features, hints and guarantees.
``lse2`` only makes plain loads atomic, ``outline-atomics`` queries the CPU at run time.
Source: the Arm ARM, "Arm architecture extensions"."""
_WITH_CX16 = frozenset({"athlon64-sse3", "k8-sse3", "opteron-sse3"})
"""CPUs for which LLVM emits cmpxchg16b, although clang predefines no macro for it."""


def find_machine_flags(text: str) -> str:
    """Return the machine flags of a C compiler anywhere in a text, separated by spaces."""
    return " ".join(_EMBEDDED.findall(text))


def rustflags(cpu: str, flags: tuple[str, ...]) -> str:
    """Return the options of rustc for the CPU that ``flags`` select in a C compiler.

    Args:
        cpu: of a profile: a name, optionally with additional features.
    """
    name, *_ = cpu.split()
    if version := re.fullmatch(r"armv([89](?:\.\d)?)-a", name.partition("+")[0]):
        return f"-C target-feature=+v{version[1]}a"
    rust_names = {switch: name for name, switch in _SWITCHES.items() if switch}
    switches = [flag.removeprefix("-m") for flag in flags if "=" not in flag]
    more = [f"+{rust_names.get(switch, switch)}" for switch in switches]
    return f"-C target-cpu={name}" + (f" -C target-feature={','.join(more)}" if more else "")


def translate_rust(flags: str, arch: str) -> tuple[str, ...]:
    """Translate RUSTFLAGS into machine flags; disabled features are ignored.

    Source: the rustc book, "Codegen Options": target-cpu, target-feature.
    """
    cpu, features = "", []
    for option, value in _CODEGEN.findall(flags):
        if option == "target-cpu":
            cpu = value
        else:
            features += [name[1:] for name in value.strip("\"'").split(",") if name.startswith("+")]
    features = [name for name in features if name not in {"crt-static", "relax"}]  # for the linker
    return tuple(_rust_flags(cpu, features, arch))


def _rust_flags(cpu: str, features: list[str], arch: str) -> Iterator[str]:
    if arch in {"x86_64", "i386", "ppc64le", ""}:
        if cpu and cpu != "generic":
            yield f"{'-mcpu' if arch == 'ppc64le' else '-march'}={cpu}"
        if cpu in _WITH_CX16:
            yield "-mcx16"
        yield from (f"-m{switch}" for name in features if (switch := _SWITCHES.get(name, name)))
    elif arch == "riscv64":
        if cpu and not cpu.startswith("generic"):
            yield f"-mcpu={cpu}"
        if features:
            yield "-march=rv64gc_" + "_".join(features)
    else:
        extensions = [name for name in map(_ARM64.get, features, features) if name and not _VERSION.fullmatch(name)]
        version = max(filter(_VERSION.fullmatch, features), default="")
        if cpu and cpu != "generic":
            yield "+".join([f"-mcpu={cpu}", *extensions])
        elif extensions:
            yield "+".join([f"-march={'armv8-a' if arch == 'arm64' else 'armv7-a'}", *extensions])
        if version:
            yield f"-march=arm{version.removesuffix('a')}-a"


def translate_go(variables: Mapping[str, str], arch: str) -> tuple[str, ...]:
    """Translate Go's variables for an architecture into machine flags.

    Source: go.dev, "Minimum requirements" (GOAMD64, GOARM, ...), and ``go help environment``.
    """
    name = {"x86_64": "GOAMD64", "i386": "GO386", "arm": "GOARM", "arm64": "GOARM64"}.get(arch, "")
    name = name or {"ppc64le": "GOPPC64", "riscv64": "GORISCV64"}.get(arch, "")
    first, *more = variables.get(name, "").strip().split(",")
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
