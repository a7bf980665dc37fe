# SPDX-License-Identifier: GPL-2.0-or-later
"""A CPU's name as compiler flags, CPU_FLAGS_* and GOAMD64: answers of the compiler that builds for it."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gentoomuch_portage.errors import unknown_cpu
from gentoomuch_portage.isa import compiler
from gentoomuch_portage.isa import flags as isa_flags
from gentoomuch_portage.isa.features import ARM, BASELINE, PPC, X86, Feature

_LEVELS = (4, 3, 2)
"""psABI levels above the baseline, the highest first."""
_EXPANDED: tuple[tuple[frozenset[str], str, tuple[Feature, ...]], ...] = (
    (frozenset({"x86_64", "i386"}), "CPU_FLAGS_X86", X86),
    (frozenset({"aarch64", "arm"}), "CPU_FLAGS_ARM", ARM),
    (frozenset({"PPC", "powerpc"}), "CPU_FLAGS_PPC", PPC),
)
"""Macros of an architecture, its variable of USE_EXPAND, and its features."""
_WITHOUT_MACRO = frozenset({"CX16"})
"""Features of a level that no macro of the same name shows; ``macros.features`` derives them."""


def flag_name(macros: frozenset[str]) -> str:
    """Return the option that names a CPU to the compiler of this machine: ``-mcpu`` on PowerPC, else ``-march``."""
    return "-mcpu" if {"PPC", "powerpc"} & macros else "-march"


def macros(cpu: str, cache: Path, *, place: str) -> frozenset[str]:
    """Return what the compiler predefines for a CPU.

    Raises:
        MissingProgram: no C compiler is installed.
        ConfigError[unknown-cpu]: it does not know that name, or one of the features.
    """
    return choose_flags(cpu, cache, place=place)[1]


def choose_flags(cpu: str, cache: Path, *, place: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the flags for a CPU that the compiler of this machine accepts, and what it predefines for them.

    Args:
        cpu: a -march or -mcpu name, a psABI level, or ``native``, optionally with additional features:
            ``x86-64-v2 aes pclmul``.
        place: ``FILE:LINE`` that names the CPU, for the error.

    Raises:
        MissingProgram: no C compiler is installed.
        ConfigError[unknown-cpu]: it does not know that name, or one of the features.
    """
    local = compiler.find()
    plain = compiler.predefined_macros(local, (), cache) or frozenset()
    arch = "arm64" if "aarch64" in plain else "arm" if "arm" in plain else ""
    arch = arch or ("ppc" if flag_name(plain) == "-mcpu" else "riscv64" if "riscv" in plain else "x86_64")
    words = cpu.split()
    if words and cpu == " ".join(words) and all(re.fullmatch(r"\w[\w.+-]*", word) for word in words):
        for flags in isa_flags.spell(arch, words[0], words[1:]):
            if (predefined := compiler.predefined_macros(local, flags, cache)) is not None:
                return flags, predefined
    raise unknown_cpu(place, cpu, compiler.list_cpu_names(local))


def cpu_flags(macros: frozenset[str]) -> tuple[str, str]:
    """Return the USE_EXPAND variable of an architecture and its value, from predefined macros.

    Returns:
        ``("CPU_FLAGS_X86", "aes avx ...")``; two empty strings for other architectures.
    """
    for archs, variable, features in _EXPANDED:
        if archs & macros:
            flags = {feature.use for feature in features if feature.use and feature.macro in macros}
            flags |= {"mmxext"} if variable == "CPU_FLAGS_X86" and "sse" in flags else set()
            return variable, " ".join(sorted(flags))
    return "", ""


def goamd64(macros: frozenset[str]) -> str:
    """Return the highest GOAMD64 level that a CPU reaches: ``v1`` to ``v4``; empty unless it is x86-64."""
    if "x86_64" not in macros:
        return ""
    return next((f"v{level}" for level in _LEVELS if _required_by_level(level) <= macros), "v1")


def _required_by_level(level: int) -> frozenset[str]:
    return frozenset(feature.macro for feature in X86 if 1 < feature.level <= level) - _WITHOUT_MACRO


def features_of_use(use: Iterable[str]) -> frozenset[str]:
    """Return the features that enabled cpu_flags_x86_* mean, except those of every x86-64.

    Flags of other architectures add nothing to the ABI and -march.
    """
    enabled = {flag.removeprefix("cpu_flags_x86_") for flag in use if flag.startswith("cpu_flags_x86_")}
    return frozenset(feature.macro for feature in X86 if feature.use in enabled) - BASELINE


def features_of_level(name: str) -> frozenset[str]:
    """Return the features that a psABI level adds to x86-64: ``x86-64-v3``; none for another name."""
    level = next((level for level in _LEVELS if name == f"x86-64-v{level}"), 0)
    return frozenset(feature.macro for feature in X86 if 1 < feature.level <= level)


_OF_EVERY: Mapping[str, frozenset[str]] = {
    "x86_64": BASELINE | {"x86_64"},
    "i386": frozenset({"i386"}),
    "arm64": frozenset({"aarch64", "ARM_NEON"}),
    "arm": frozenset({"arm"}),
    "ppc64le": frozenset({"PPC", "ALTIVEC", "VSX", "POWER8_VECTOR"}),
}
"""An architecture -> macros of its oldest CPU, which no requirement names."""


def cpu_flags_of(features: frozenset[str], arch: str) -> tuple[str, str]:
    """Return the USE_EXPAND variable of an architecture and its value, from features beyond its oldest CPU."""
    thumb = {"thumb2"} if "THUMB2" in features else set()
    return cpu_flags(features | _OF_EVERY.get(arch, frozenset()) | thumb)


def level_of(features: frozenset[str], arch: str) -> str:
    """Return the highest psABI level that features reach, ``v1`` to ``v4``; empty unless it is x86-64."""
    return goamd64(features | _OF_EVERY["x86_64"]) if arch == "x86_64" else ""
