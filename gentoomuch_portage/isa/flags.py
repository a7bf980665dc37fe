"""Machine flags cut into the words that the tables of ``isa_table`` know."""

import os
import re
from collections.abc import Iterable, Iterator

from gentoomuch_portage.isa.requirement import LIBCS, machine_flags

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
"""What gcc is configured for under a CHOST. Source: Gentoo's profiles/arch/arm and gcc's --with-arch."""
_ABI = re.compile(r"-m(16|32|64|x32|abi=.*|float-abi=.*|tune=.*|(hard|soft)-float|thumb|arm|glibc|musl)")
_NAMED = re.compile(r"(-m(?:arch|cpu)=)(.*)")
_MEANT = re.compile(r"-m(arch|cpu|fpu|sve-vector-bits|rvv-vector-bits|apx-features)=")
"""Options whose value matters."""


def arch_of(chost: str, flags: Iterable[str] = ()) -> str:
    """The architecture that code is for; an empty string where there is no table for it.

    Args:
        chost: of the package; this machine where it is empty.
    """
    cpu = chost.partition("-")[0] or os.uname().machine
    arch = next((name for form, name in _ARCHES if re.fullmatch(form, cpu)), "")
    if arch in {"x86_64", "i386"}:
        width = [flag for flag in flags if flag in {"-m32", "-m64", "-mx32"}]
        return {"-m32": "i386", "-m64": "x86_64", "-mx32": "x86_64"}[width[-1]] if width else arch
    return arch


def default_flags(arch: str, chost: str) -> tuple[str, ...]:
    """What a compiler does without -march, as far as CHOST tells: ``-march=i686`` of i686-pc-linux-gnu."""
    cpu = chost.partition("-")[0]
    match arch:
        case "i386":
            return (f"-march={cpu if re.fullmatch(r'i[3-6]86', cpu) else 'i686'}",)
        case "riscv64":
            return ("-march=rv64gc",)
        case "arm":
            return next((flags for form, flags in _ARM if re.fullmatch(form, cpu)), _ARM[-1][1])
    return ()


def words(arch: str, flags: Iterable[str], chost: str = "", *, least: bool = False) -> tuple[str, ...]:
    """The words of machine flags, those that name a CPU first: -m[no-]X wins over -march wherever it stands.

    Args:
        least: for what a CPU has: of -march and -mcpu, the one that gcc obeys.
    """
    flags = tuple(flags)
    named = [flag for flag in flags if _NAMED.fullmatch(flag)]
    if arch in {"x86_64", "i386"}:
        named = [flag for flag in named if flag.startswith("-march=")]  # -mcpu is an old name of -mtune
    if least and any(flag.startswith("-march=") for flag in named):
        named = [flag for flag in named if flag.startswith("-march=")]
    rest = [flag for flag in flags if not _NAMED.fullmatch(flag) and not _ABI.fullmatch(flag)]
    rest = sorted(rest, key=lambda flag: flag.startswith("-mavx10"))  # clang takes nothing of it away again
    first = named or [flag for flag in default_flags(arch, chost) if not (_has_fpu(rest) and "fpu" in flag)]
    return tuple(word for flag in (*first, *rest) for word in _cut(arch, flag))


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
    """The ABI of an architecture's Linux, as ``isa.macros.abi`` tells it: for where no compiler can be asked."""
    flags = tuple(flags)
    words = _ABIS.get(arch, frozenset())
    told = {
        flag.partition("=")[0]: flag.partition("=")[2] for flag in flags if flag.startswith(("-mabi=", "-mfloat-abi="))
    }
    if arch == "x86_64" and "-mx32" in flags:
        return words - {"LP64"} | {"ILP32"}
    if arch == "arm64" and told.get("-mabi") == "ilp32":
        return words - {"LP64"} | {"ILP32"}
    if arch == "riscv64":
        kind = {"lp64": "soft", "lp64f": "single"}.get(told.get("-mabi", ""), "double")
        return words | {f"riscv_float_abi_{kind}"}
    if arch == "arm":
        default = "hard" if not chost or chost.endswith("hf") else "soft"
        kind = told.get("-mfloat-abi", default)
        return words | {"hard": {"ARM_PCS_VFP"}, "soft": {"SOFTFP"}}.get(kind, set())
    return words


def libc(chost: str, use: Iterable[str]) -> frozenset[str]:
    """The libc that CHOST or USE=elibc_* names; none where neither does.

    Source: the GNU triplet's last part, as ::gentoo's profiles/features set ELIBC beside it.
    """
    if found := frozenset(flag.removeprefix("elibc_") for flag in use if flag.startswith("elibc_")) & LIBCS:
        return found
    last = chost.rpartition("-")[2]
    names = (("gnu", "glibc"), ("musl", "musl"), ("uclibc", "uclibc"), ("android", "bionic"))
    return frozenset(libc for part, libc in names if chost and last.startswith(part))


def spelt(arch: str, name: str, more: Iterable[str] = ()) -> tuple[tuple[str, ...], ...]:
    """The flags that may mean a CPU told in words, best first.

    Args:
        name: of a CPU, a psABI level, or flags themselves.
        more: features that the CPU has beyond that name, as a compiler or as CPU_FLAGS_X86 calls them.
    """
    if name.startswith("-"):
        return (machine_flags(" ".join([name, *more])),)
    if arch in {"arm", "arm64"}:
        full = "+".join([name, *more])
        return (f"-mcpu={full}",), (f"-march={full}",)
    if arch == "riscv64":
        return (f"-march={'_'.join([name, *more])}",), (f"-mcpu={name}",)
    switches = tuple(f"-m{_SPELLING.get(word, word)}" for word in more)
    return ((f"{'-mcpu' if arch.startswith('ppc') else '-march'}={name}", *switches),)


_SPELLING = {"sse4_1": "sse4.1", "sse4_2": "sse4.2", "bmi1": "bmi", "fma3": "fma", "rdrand": "rdrnd"}
"""cpu_flags_x86_* -> the option -m, where they differ."""


def _has_fpu(flags: Iterable[str]) -> bool:
    """Whether the floating point unit of a 32-bit ARM is chosen."""
    return any(flag.startswith("-mfpu=") for flag in flags)


def _cut(arch: str, flag: str) -> Iterator[str]:
    named = _NAMED.fullmatch(flag)
    if named and arch in {"arm", "arm64"}:
        base, *extensions = named[2].split("+")
        yield named[1] + base
        yield from (f"+{one}" for one in extensions)
    elif named and arch == "riscv64" and named[1] == "-march=":
        yield from _riscv(named[2])
    elif flag.startswith("-mfpu="):
        yield from () if flag == "-mfpu=auto" else ("-mfpu=*", flag)
    else:
        yield flag if "=" not in flag or _MEANT.match(flag) else flag.partition("=")[0] + "="


def _riscv(told: str) -> Iterator[str]:
    """``rv64gc_zba`` -> i m a f d zicsr zifencei c zba; the name of a profile stays, with what stands behind it.

    Source: the RISC-V ISA manual, "ISA Extension Naming Conventions"; versions (``2p1``) are left out.
    """
    base, *extensions = told.lower().split("_")
    if isa := re.fullmatch(r"rv64([a-z0-9]*?)(z[a-z0-9]+|x[a-z]\w*)?", base):
        letters = re.sub(r"\d+p\d+|\d", "", isa[1]).replace("g", "imafd")
        yield from (f"_{letter}" for letter in letters if letter != "i")
        extensions = [*(("zicsr", "zifencei") if "g" in isa[1] else ()), *filter(None, (isa[2],)), *extensions]
    else:
        yield f"-march={base}"
    yield from (f"_{re.sub(r'[0-9]+p[0-9]+$', '', one)}" for one in extensions if one)
