"""What a CPU has, as the compiler that builds for it says: the truth at build time.

Source: the predefined macros of ``gcc -march=NAME -dM -E`` (gcc(1), "x86 Options"); cpu_flags_* of
::gentoo's profiles/desc/cpu_flags_{x86,arm,ppc}.desc; the x86-64 psABI, "Micro-Architecture Levels".
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gentoomuch_portage.errors import UnknownCpu
from gentoomuch_portage.isa import compiler
from gentoomuch_portage.isa import flags as isa_flags

_X86: Mapping[str, str] = {
    "3dNOW": "3dnow", "3dNOW_A": "3dnowext", "AES": "aes", "AMX_BF16": "amx_bf16", "AMX_INT8": "amx_int8",
    "AMX_TILE": "amx_tile", "AVX": "avx", "AVX2": "avx2", "AVX5124FMAPS": "avx512_4fmaps",
    "AVX5124VNNIW": "avx512_4vnniw", "AVX512BF16": "avx512_bf16", "AVX512BITALG": "avx512_bitalg",
    "AVX512BW": "avx512bw", "AVX512CD": "avx512cd", "AVX512DQ": "avx512dq", "AVX512ER": "avx512er",
    "AVX512F": "avx512f", "AVX512FP16": "avx512_fp16", "AVX512IFMA": "avx512ifma", "AVX512PF": "avx512pf",
    "AVX512VBMI": "avx512vbmi", "AVX512VBMI2": "avx512_vbmi2", "AVX512VL": "avx512vl",
    "AVX512VNNI": "avx512_vnni", "AVX512VP2INTERSECT": "avx512_vp2intersect",
    "AVX512VPOPCNTDQ": "avx512_vpopcntdq", "AVXVNNI": "avx_vnni", "BMI": "bmi1", "BMI2": "bmi2",
    "F16C": "f16c", "FMA": "fma3", "FMA4": "fma4", "MMX": "mmx", "PCLMUL": "pclmul", "POPCNT": "popcnt",
    "RDRND": "rdrand", "SHA": "sha", "SSE": "sse", "SSE2": "sse2", "SSE3": "sse3", "SSE4A": "sse4a",
    "SSE4_1": "sse4_1", "SSE4_2": "sse4_2", "SSSE3": "ssse3", "VPCLMULQDQ": "vpclmulqdq", "XOP": "xop",
}  # fmt: skip
"""``__NAME__`` of GCC -> cpu_flags_x86_*."""
_ARM: Mapping[str, str] = {
    "ARM_FEATURE_AES": "aes", "ARM_FEATURE_CRC32": "crc32", "ARM_FEATURE_DOTPROD": "asimddp",
    "ARM_FEATURE_DSP": "edsp", "ARM_FEATURE_MATMUL_INT8": "i8mm", "ARM_FEATURE_SHA2": "sha2",
    "ARM_FEATURE_SVE": "sve", "ARM_FEATURE_SVE2": "sve2", "ARM_NEON": "neon", "thumb2": "thumb2",
}  # fmt: skip
_PPC: Mapping[str, str] = {"ALTIVEC": "altivec", "VSX": "vsx", "POWER8_VECTOR": "vsx2", "POWER9_VECTOR": "vsx3"}
_BASELINE = frozenset({"MMX", "SSE", "SSE2"})
"""Of every x86-64."""
_LEVELS = (
    ("v4", {"AVX512F", "AVX512BW", "AVX512CD", "AVX512DQ", "AVX512VL"}),
    ("v3", {"AVX", "AVX2", "BMI", "BMI2", "F16C", "FMA", "LZCNT", "MOVBE"}),
    ("v2", {"SSE3", "SSSE3", "SSE4_1", "SSE4_2", "POPCNT"}),
)


def flag_name(found: frozenset[str]) -> str:
    """The option that names a CPU to the compiler of this machine: ``-mcpu`` on PowerPC, else ``-march``."""
    return "-mcpu" if {"PPC", "powerpc"} & found else "-march"


def macros(cpu: str, cache: Path, *, asked_at: str) -> frozenset[str]:
    """What the compiler predefines for a CPU, as ``macros`` reads it.

    Raises:
        MissingProgram: there is no C compiler.
        UnknownCpu: it does not know that name, or one of the features.
    """
    return chosen(cpu, cache, asked_at=asked_at)[1]


def chosen(cpu: str, cache: Path, *, asked_at: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The flags that mean a CPU to the compiler of this machine, and what it predefines for them.

    Args:
        cpu: a -march or -mcpu name, a psABI level, or ``native``, perhaps with features behind it that the CPU has
            beyond that: ``x86-64-v2 aes pclmul``.
        cache: answers are kept there, for as long as the compiler and the machine are the same.
        asked_at: ``FILE:LINE`` that names the CPU, for the error.

    Raises:
        MissingProgram: there is no C compiler.
        UnknownCpu: it does not know that name, or one of the features.
    """
    asked = compiler.find()
    plain = compiler.macros(asked, (), cache) or frozenset()
    arch = "arm64" if "aarch64" in plain else "arm" if "arm" in plain else ""
    arch = arch or ("ppc" if flag_name(plain) == "-mcpu" else "riscv64" if "riscv" in plain else "x86_64")
    words = cpu.split()
    if words and cpu == " ".join(words) and all(re.fullmatch(r"\w[\w.+-]*", word) for word in words):
        for flags in isa_flags.spelt(arch, words[0], words[1:]):
            if (found := compiler.macros(asked, flags, cache)) is not None:
                return flags, found
    raise UnknownCpu(asked_at, cpu, compiler.known_names(asked))


def cpu_flags(found: frozenset[str]) -> tuple[str, str]:
    """The USE_EXPAND variable of this architecture and its value, from predefined macros.

    Returns:
        ``("CPU_FLAGS_X86", "aes avx ...")``; two empty strings where there is none.
    """
    if {"x86_64", "i386"} & found:
        flags = {name for macro, name in _X86.items() if macro in found}
        return "CPU_FLAGS_X86", " ".join(sorted(flags | ({"mmxext"} if "sse" in flags else set())))
    if {"aarch64", "arm"} & found:
        return "CPU_FLAGS_ARM", " ".join(sorted(name for macro, name in _ARM.items() if macro in found))
    if {"PPC", "powerpc"} & found:
        return "CPU_FLAGS_PPC", " ".join(sorted(name for macro, name in _PPC.items() if macro in found))
    return "", ""


def goamd64(found: frozenset[str]) -> str:
    """The highest GOAMD64 level that a CPU reaches: ``v1`` to ``v4``; empty elsewhere than on x86-64."""
    if "x86_64" not in found:
        return ""
    for number, (level, _) in enumerate(_LEVELS):
        if all(wanted <= found for _, wanted in _LEVELS[number:]):
            return level
    return "v1"


def features_of_flags(use: Iterable[str]) -> frozenset[str]:
    """The features that enabled cpu_flags_x86_* mean, as the compiler's macros name them.

    Flags of other architectures say nothing that the ABI and -march do not say.
    """
    names = {flag: macro for macro, flag in _X86.items()}
    on = (flag.removeprefix("cpu_flags_x86_") for flag in use if flag.startswith("cpu_flags_x86_"))
    return frozenset(names[flag] for flag in on if flag in names) - _BASELINE


def level(name: str) -> frozenset[str]:
    """The features that a psABI level adds to x86-64: ``x86-64-v3``; none for another name."""
    for number, (short, _) in enumerate(_LEVELS):
        if name == f"x86-64-{short}":
            return frozenset({"CX16"}.union(*(wanted for _, wanted in _LEVELS[number:])))
    return frozenset()


_OF_EVERY: Mapping[str, frozenset[str]] = {
    "x86_64": _BASELINE | {"x86_64"},
    "i386": frozenset({"i386"}),
    "arm64": frozenset({"aarch64", "ARM_NEON"}),
    "arm": frozenset({"arm"}),
    "ppc64le": frozenset({"PPC", "ALTIVEC", "VSX", "POWER8_VECTOR"}),
}
"""An architecture -> macros of its oldest CPU, which no requirement names."""


def cpu_flags_of(features: frozenset[str], arch: str) -> tuple[str, str]:
    """The USE_EXPAND variable of an architecture and its value, from features beyond its oldest CPU."""
    thumb = {"thumb2"} if "THUMB2" in features else set()
    return cpu_flags(features | _OF_EVERY.get(arch, frozenset()) | thumb)


def level_of(features: frozenset[str], arch: str) -> str:
    """The highest psABI level that features reach, ``v1`` to ``v4``; an empty string elsewhere than on x86-64."""
    return goamd64(features | _OF_EVERY["x86_64"]) if arch == "x86_64" else ""
