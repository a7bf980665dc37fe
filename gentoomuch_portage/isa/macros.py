# SPDX-License-Identifier: GPL-2.0-or-later
"""Classify the predefined macros of a compiler: instruction sets, ABI, and others.

A macro is represented by its name without outer underscores, ``AVX2``; the few whose value matters by
``NAME=VALUE``, ``ARM_ARCH=8``. Where gcc and clang use different names, one of them is used.
Source: gcc's config/{i386/i386-c.cc,aarch64/aarch64-c.cc,arm/arm-c.cc,rs6000/rs6000-c.cc,riscv/riscv-c.cc}
and clang's lib/Basic/Targets; the Arm C Language Extensions; the RISC-V C API.
"""

import re
from collections.abc import Iterable, Iterator

from gentoomuch_portage.isa.features import X86
from gentoomuch_portage.isa.requirement import Requirement

_DEFINE = re.compile(r"^#define _*(\w+?)_*(?:\([^)]*\))?(?: (.*))?$", re.M)
_VALUED = frozenset(
    {
        "ARM_ARCH", "ARM_ARCH_ISA_THUMB", "ARM_FEATURE_LDREX", "ARM_FEATURE_MVE", "ARM_FEATURE_SVE_BITS", "ARM_FP",
        "BYTE_ORDER", "CALL_ELF", "SIZEOF_LONG_DOUBLE", "riscv_v_elen", "riscv_v_fixed_vlen", "riscv_v_min_vlen",
        "riscv_xlen",
    }
)  # fmt: skip
_NOISE = re.compile(
    r"(?!riscv_)[a-z]|riscv_(arch_test|cmodel|cmpcode|float_abi|misaligned|shadow_stack|landing_pad|v_intrinsic|32e|64e)"
    r"|SSE2?_MATH$|SOFT_FLOAT$|FP_FAST|SIZEOF|GCC_|CLANG_|I?LP(32|64)$|OPTIMIZE|NO_(?!INLINE)|CET$|PI[CE]$"
    r"|(FLT|LDBL|DBL|BFLT|DEC)\d*X?_|BIGGEST_ALIGNMENT|FLOAT\d+X?$|LONG_?DOUBLE|STDC|RECIP|RSQRTE|VEC$|VEC_ELEMENT"
    r"|PPU$|TM_FENCE|ARM_(SIZEOF|PCS|ARCH_PROFILE|ARCH_\d|ARCH_ISA_ARM|ARCH_EXT_IDIV|ASM_SYNTAX|FP16_|BF16_FORMAT)"
    r"|ARM_(FEATURE_(COPROC|CMSE|BTI_DEFAULT|PAC_DEFAULT|GCS_DEFAULT|CRYPTO|ALIGNED|UNALIGNED)|NEON_FP|EABI|32BIT|64BIT)"
    r"|(ARCH_(PPC|PWR$|COM|\d|A2$|E\d)|SOFTFP|SOFT_FP|LITTLE_ENDIAN|BIG_ENDIAN|ARM_BIG_ENDIAN|ARMEL|ARMEB|AARCH64E[LB]|THUMBE[LB])"
    r"|(BYTE_ORDER|CALL_ELF|CALL_LINUX|HAVE_BSWAP|GXX|ELF|VFP_FP|INDIRECT_RETURN|CODE_MODEL|CMODEL|SEG_)"
    r"|APX_INLINE_ASM|MMX_WITH_SSE|AVX10_\d_256$"
)
"""Macros that differ between two settings of one compiler without being an instruction set."""
_ALIASES = {alias: feature.macro for feature in X86 for alias in feature.aliases}
_PARTS = {feature.macro: frozenset(feature.parts) for feature in X86 if feature.parts}
_OLD_X86 = frozenset({"i386", "i486", "i586", "pentium", "pentium_mmx", "k6", "k6_2", "k6_3", "lakemont", "winchip_c6"})
_ABI = frozenset(
    {
        "x86_64", "i386", "LP64", "ILP32", "NO_80387", "aarch64", "arm", "ARM_PCS_VFP", "SOFTFP", "powerpc64",
        "powerpc", "LONG_DOUBLE_IEEE128", "riscv_float_abi_double", "riscv_float_abi_single", "riscv_float_abi_soft",
        "mips64", "mips_hard_float", "loongarch_lp64", "loongarch_double_float", "s390x",
    }
)  # fmt: skip
_NUMBERED = re.compile(r"(SIZEOF_LONG_DOUBLE|CALL_ELF|riscv_xlen)=(\d+)")


def parse_macros(defines: str) -> frozenset[str]:
    """Parse the output of ``-dM -E``."""
    return frozenset(f"{name}={value.strip()}" if name in _VALUED else name for name, value in _DEFINE.findall(defines))


def features(macros: Iterable[str]) -> frozenset[str]:
    """Return the instruction sets that macros show, including those of every CPU of the ABI."""
    macros = frozenset(macros)
    names = {_ALIASES.get(name, name) for name in macros if "=" not in name and not _NOISE.match(name)} - _ABI
    names = names.difference(*(parts for feature, parts in _PARTS.items() if feature in names))
    if "ARM_NEON" in names:
        names.add("ARM_D32")
    return frozenset(names) | frozenset(_derive_x86(macros)) | frozenset(_derive_from_values(macros))


def abi(macros: Iterable[str]) -> frozenset[str]:
    """Return what code has to have in common to be linked and run together."""
    macros = frozenset(macros)
    words = {f"{name}_{value}" for name, value in map(_split, filter(_NUMBERED.fullmatch, macros))} | (macros & _ABI)
    if {"arm", "i386", "powerpc"} & words and "powerpc64" not in words:
        words.discard("ILP32")  # it is the only choice, and not every compiler defines it
    if "BYTE_ORDER=__ORDER_BIG_ENDIAN__" in macros:
        words.add("BIG_ENDIAN")
    return frozenset(words)


def to_requirement(macros: Iterable[str], base: Iterable[str], description: str) -> Requirement:
    """Create a requirement from predefined macros.

    Args:
        macros: for the flags in question.
        base: for the oldest CPU of the same ABI.
        description: the flags, for people.
    """
    macros = frozenset(macros)
    return Requirement(features=features(macros) - features(base), abi=abi(macros), description=description)


def _derive_x86(macros: frozenset[str]) -> Iterator[str]:
    """Derive features of x86 that have no macro of their own.

    Source: X86_ARCH_CMOV, X86_ARCH_CMPXCHG8B and similar ones of gcc's config/i386/x86-tune.def.
    """
    if "x86_64" in macros and "GCC_HAVE_SYNC_COMPARE_AND_SWAP_16" in macros:
        yield "CX16"
    if "i386" not in macros:
        return
    if "GCC_HAVE_SYNC_COMPARE_AND_SWAP_4" in macros:
        yield "CMPXCHG"
    if "GCC_HAVE_SYNC_COMPARE_AND_SWAP_8" in macros:
        yield "CX8"
    named = {name for name in macros if f"tune_{name}" in macros or name in {"i686", "geode", "athlon"}}
    if "SSE" in macros or named - _OLD_X86:
        yield "CMOV"


def _derive_from_values(macros: frozenset[str]) -> Iterator[str]:
    """Derive features from the value of a macro, one for each step up to it."""
    for name, value in map(_split, (macro for macro in macros if "=" in macro)):
        number = int(value, 0) if re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", value) else 0
        match name:
            case "ARM_ARCH":
                yield from (f"ARMv{step}" for step in range(5, min(number if number < 100 else number // 100, 20) + 1))
            case "ARM_ARCH_ISA_THUMB" if number >= 2:
                yield "THUMB2"
            case "ARM_FP":
                yield from (word for bit, word in ((2, "FP_HALF"), (4, "FP_SINGLE"), (8, "FP_DOUBLE")) if number & bit)
            case "ARM_FEATURE_LDREX":
                yield from (f"LDREX{size}" for size in (1, 2, 4, 8) if number & size)
            case "ARM_FEATURE_MVE" if number:
                yield f"MVE{number}"
            case "ARM_FEATURE_SVE_BITS" | "riscv_v_fixed_vlen" if number:
                yield f"{name}_{number}"
            case "riscv_v_elen" | "riscv_v_min_vlen":
                yield from (f"{name}_{1 << step}" for step in range(5, 17) if 1 << step <= number)


def _split(macro: str) -> tuple[str, str]:
    name, _, value = macro.partition("=")
    return name, value
