# SPDX-License-Identifier: GPL-2.0-or-later
"""Machine flags of GCC and clang: normalised for the tables, their architecture and ABI, and how a CPU is spelled."""

import os
import re
from collections.abc import Iterable, Iterator

from gentoomuch_portage.isa.features import X86
from gentoomuch_portage.isa.requirement import machine_flags

_ARCHES = (
    (r"x86_64|amd64", "x86_64"),
    (r"i[3-6]86|x86", "i386"),
    (r"aarch64|arm64", "arm64"),
    (r"arm.*", "arm"),
    (r"powerpc64le|ppc64le", "ppc64le"),
    (r"riscv64.*", "riscv64"),
)
_ARM = (
    (r"armv4t?l?", ("-march=armv4t",)),
    (r"armv5te.*", ("-march=armv5te",)),
    (r"armv5.*", ("-march=armv5t",)),
    (r"armv6.*", ("-march=armv6", "-mfpu=vfpv2")),
    (r"armv7.*", ("-march=armv7-a", "-mfpu=vfpv3-d16")),
    (r"armv8.*", ("-march=armv8-a", "-mfpu=fp-armv8")),
)
"""A CHOST -> the default of gcc. Source: Gentoo's profiles/arch/arm and gcc's --with-arch."""
_ABI = re.compile(r"-m(16|32|64|x32|abi=.*|float-abi=.*|tune=.*|(hard|soft)-float|thumb|arm|glibc|musl)")
_NAMED = re.compile(r"(-m(?:arch|cpu)=)(.*)")
_MEANT = re.compile(r"-m(arch|cpu|fpu|sve-vector-bits|rvv-vector-bits|apx-features)=")
"""Options whose value matters."""


def arch_of(chost: str, flags: Iterable[str] = ()) -> str:
    """Return the architecture of code; empty if no table covers it.

    Args:
        chost: of the package; default: this machine.
    """
    cpu = chost.partition("-")[0] or os.uname().machine
    arch = next((name for form, name in _ARCHES if re.fullmatch(form, cpu)), "")
    if arch in {"x86_64", "i386"}:
        width = [flag for flag in flags if flag in {"-m32", "-m64", "-mx32"}]
        return {"-m32": "i386", "-m64": "x86_64", "-mx32": "x86_64"}[width[-1]] if width else arch
    return arch


def default_flags(arch: str, chost: str) -> tuple[str, ...]:
    """Return the flags that CHOST implies if -march is missing: ``-march=i686`` for i686-pc-linux-gnu."""
    cpu = chost.partition("-")[0]
    match arch:
        case "i386":
            return (f"-march={cpu if re.fullmatch(r'i[3-6]86', cpu) else 'i686'}",)
        case "riscv64":
            return ("-march=rv64gc",)
        case "arm":
            return next((flags for form, flags in _ARM if re.fullmatch(form, cpu)), _ARM[-1][1])
    return ()


def normalise(arch: str, flags: Iterable[str], chost: str = "", *, least: bool = False) -> tuple[str, ...]:
    """Split machine flags into options of the tables, CPU names first: -m[no-]X overrides -march in any order.

    Args:
        least: for a CPU, not for code: of -march and -mcpu, keep the one that gcc obeys.
    """
    flags = tuple(flags)
    named = [flag for flag in flags if _NAMED.fullmatch(flag)]
    if arch in {"x86_64", "i386"}:
        named = [flag for flag in named if flag.startswith("-march=")]  # -mcpu is an old name of -mtune
    if least and any(flag.startswith("-march=") for flag in named):
        named = [flag for flag in named if flag.startswith("-march=")]
    rest = [flag for flag in flags if not _NAMED.fullmatch(flag) and not _ABI.fullmatch(flag)]
    rest = sorted(rest, key=lambda flag: flag.startswith("-mavx10"))  # clang never disables parts of it
    first = named or [flag for flag in default_flags(arch, chost) if not (_has_fpu(rest) and "fpu" in flag)]
    return tuple(option for flag in (*first, *rest) for option in _split(arch, flag))


_LP64 = frozenset({"LP64", "SIZEOF_LONG_DOUBLE_16"})
_ABIS = {
    "x86_64": frozenset({"x86_64"}) | _LP64,
    "i386": frozenset({"i386", "SIZEOF_LONG_DOUBLE_12"}),
    "arm64": frozenset({"aarch64"}) | _LP64,
    "arm": frozenset({"arm", "SIZEOF_LONG_DOUBLE_8"}),
    "ppc64le": frozenset({"powerpc", "powerpc64", "CALL_ELF_2"}) | _LP64,
    "riscv64": frozenset({"riscv_xlen_64"}) | _LP64,
}


def abi(arch: str, flags: Iterable[str], chost: str = "") -> frozenset[str]:
    """Return the ABI of an architecture's Linux in the names of ``macros.abi``, if no compiler is available."""
    flags = tuple(flags)
    names = _ABIS.get(arch, frozenset())
    options = dict(flag.split("=", 1) for flag in flags if flag.startswith(("-mabi=", "-mfloat-abi=")))
    if arch == "x86_64" and "-mx32" in flags:
        return names - {"LP64"} | {"ILP32"}
    if arch == "arm64" and options.get("-mabi") == "ilp32":
        return names - {"LP64"} | {"ILP32"}
    if arch == "riscv64":
        kind = {"lp64": "soft", "lp64f": "single"}.get(options.get("-mabi", ""), "double")
        return names | {f"riscv_float_abi_{kind}"}
    if arch == "arm":
        default = "hard" if not chost or chost.endswith("hf") else "soft"
        kind = options.get("-mfloat-abi", default)
        return names | {"hard": {"ARM_PCS_VFP"}, "soft": {"SOFTFP"}}.get(kind, set())
    return names


def spell(arch: str, name: str, more: Iterable[str] = ()) -> tuple[tuple[str, ...], ...]:
    """Return the flags that can select a CPU, the best first.

    Args:
        name: of a CPU, a psABI level, or flags.
        more: additional features of the CPU, named as in compiler options or in CPU_FLAGS_X86.
    """
    if name.startswith("-"):
        return (machine_flags(" ".join([name, *more])),)
    if arch in {"arm", "arm64"}:
        full = "+".join([name, *more])
        return (f"-mcpu={full}",), (f"-march={full}",)
    if arch == "riscv64":
        return (f"-march={'_'.join([name, *more])}",), (f"-mcpu={name}",)
    switches = tuple(f"-m{_SWITCHES.get(feature, feature)}" for feature in more)
    return ((f"{'-mcpu' if arch.startswith('ppc') else '-march'}={name}", *switches),)


_SWITCHES = {feature.use: feature.switch for feature in X86 if feature.use}
"""cpu_flags_x86_* -> what follows -m."""


def _has_fpu(flags: Iterable[str]) -> bool:
    """Whether a floating point unit of 32-bit ARM is selected."""
    return any(flag.startswith("-mfpu=") for flag in flags)


def _split(arch: str, flag: str) -> Iterator[str]:
    named = _NAMED.fullmatch(flag)
    if named and arch in {"arm", "arm64"}:
        base, *extensions = named[2].split("+")
        yield named[1] + base
        yield from (f"+{extension}" for extension in extensions)
    elif named and arch == "riscv64" and named[1] == "-march=":
        yield from _riscv(named[2])
    elif flag.startswith("-mfpu="):
        yield from () if flag == "-mfpu=auto" else ("-mfpu=*", flag)
    else:
        yield flag if "=" not in flag or _MEANT.match(flag) else flag.partition("=")[0] + "="


def _riscv(isa: str) -> Iterator[str]:
    """Split ``rv64gc_zba`` into i m a f d zicsr zifencei c zba, without versions; the name of a profile is kept.

    Source: the RISC-V ISA manual, "ISA Extension Naming Conventions"; a version is ``2p1``.
    """
    base, *extensions = isa.lower().split("_")
    if match := re.fullmatch(r"rv64([a-z0-9]*?)(z[a-z0-9]+|x[a-z]\w*)?", base):
        letters = re.sub(r"\d+p\d+|\d", "", match[1]).replace("g", "imafd")
        yield from (f"_{letter}" for letter in letters if letter != "i")
        extensions = [*(("zicsr", "zifencei") if "g" in match[1] else ()), *filter(None, (match[2],)), *extensions]
    else:
        yield f"-march={base}"
    yield from (f"_{re.sub(r'[0-9]+p[0-9]+$', '', name)}" for name in extensions if name)
