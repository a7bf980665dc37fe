"""Which of a compiler's predefined macros tell an instruction set, and which an ABI.

A macro is kept as its name without the outer underscores, ``AVX2``; of the few whose value matters as
``NAME=VALUE``, ``ARM_ARCH=8``. gcc and clang name most features alike; where they do not, one name is kept.
Source: gcc's config/{i386/i386-c.cc,aarch64/aarch64-c.cc,arm/arm-c.cc,rs6000/rs6000-c.cc,riscv/riscv-c.cc}
and clang's lib/Basic/Targets; the Arm C Language Extensions; the RISC-V C API.
"""

import re
from collections.abc import Iterable, Iterator

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
"""Macros that differ between two settings of one compiler, and are no instruction set."""
_ALIASES = {"USERMSR": "USER_MSR", "AVX10_1_512": "AVX10_1", "AVX10_2_512": "AVX10_2"}
_APX = frozenset({"EGPR", "PUSH2POP2", "PPX", "NDD", "CCMP", "NF", "CF", "ZU", "JMPABS"})
_OLD_X86 = frozenset({"i386", "i486", "i586", "pentium", "pentium_mmx", "k6", "k6_2", "k6_3", "lakemont", "winchip_c6"})
_ABI = frozenset(
    {
        "x86_64", "i386", "LP64", "ILP32", "NO_80387", "aarch64", "arm", "ARM_PCS_VFP", "SOFTFP", "powerpc64",
        "powerpc", "LONG_DOUBLE_IEEE128", "riscv_float_abi_double", "riscv_float_abi_single", "riscv_float_abi_soft",
        "mips64", "mips_hard_float", "loongarch_lp64", "loongarch_double_float", "s390x",
    }
)  # fmt: skip
_NUMBERED = re.compile(r"(SIZEOF_LONG_DOUBLE|CALL_ELF|riscv_xlen)=(\d+)")


def parsed(defines: str) -> frozenset[str]:
    """The macros of ``-dM -E`` output."""
    return frozenset(f"{name}={value.strip()}" if name in _VALUED else name for name, value in _DEFINE.findall(defines))


def features(macros: Iterable[str]) -> frozenset[str]:
    """The instruction sets that macros tell, those that every CPU of the ABI has among them."""
    macros = frozenset(macros)
    found = {_ALIASES.get(name, name) for name in macros if "=" not in name and not _NOISE.match(name)} - _ABI
    if "APX_F" in found:
        found -= _APX
    if "ARM_NEON" in found:
        found.add("ARM_D32")
    return frozenset(found) | frozenset(_untold(macros)) | frozenset(_leveled(macros))


def abi(macros: Iterable[str]) -> frozenset[str]:
    """What code must agree on to be linked and run together at all."""
    macros = frozenset(macros)
    words = {f"{name}_{value}" for name, value in map(_pair, filter(_NUMBERED.fullmatch, macros))} | (macros & _ABI)
    if {"arm", "i386", "powerpc"} & words and "powerpc64" not in words:
        words.discard("ILP32")  # there is nothing else, and not every compiler says so
    if "BYTE_ORDER=__ORDER_BIG_ENDIAN__" in macros:
        words.add("BIG_ENDIAN")
    return frozenset(words)


def _untold(macros: frozenset[str]) -> Iterator[str]:
    """Features of x86 that have no macro of their own.

    Source: X86_ARCH_CMOV, X86_ARCH_CMPXCHG8B and their kin of gcc's config/i386/x86-tune.def.
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


def _leveled(macros: frozenset[str]) -> Iterator[str]:
    """Features told by the value of a macro, a name for each step up to it."""
    for name, value in map(_pair, (macro for macro in macros if "=" in macro)):
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


def _pair(macro: str) -> tuple[str, str]:
    name, _, value = macro.partition("=")
    return name, value
