# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU of this machine, and whether code for another CPU runs on it.

One compiler is queried about both, so that a name which only one of two compilers knows does not decide. If none is
installed, the kernel's list of features is used for this machine.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.errors import GmError, MissingProgram
from gentoomuch_portage.isa import compiler, resolve
from gentoomuch_portage.isa import cpu as isa_cpu
from gentoomuch_portage.isa import flags as isa_flags
from gentoomuch_portage.isa.abi import Abi
from gentoomuch_portage.isa.features import NOT_EMITTED, X86
from gentoomuch_portage.isa.requirement import Requirement, Verdict, judge, machine_flags, unknown_requirement

_ALSO_RUNS: Mapping[str, frozenset[str]] = {"x86_64": frozenset({"i386"}), "arm64": frozenset({"arm"})}
"""An architecture -> others whose code its kernel runs."""
_HIDDEN = frozenset(feature.macro for feature in X86 if feature.hidden)
_NATIVE = {"x86_64": "-march=native", "i386": "-march=native", "arm64": "-mcpu=native", "arm": "-mcpu=native",
           "ppc64le": "-mcpu=native"}  # fmt: skip


def parse_cpuinfo(text: str) -> frozenset[str]:
    """Return the features that a /proc/cpuinfo of x86 names; of several CPUs those that all have."""
    lines = [frozenset(line.split()) for line in re.findall(r"^flags\s*:(.*)$", text, re.M)]
    if not lines:
        return frozenset()
    flags = frozenset.intersection(*lines)
    same_name = {spelling for name in flags for spelling in (name.upper(), name.upper().replace("_", ""))}
    return frozenset(same_name) | {feature.macro for feature in X86 if feature.kernel in flags}


def find_name(cpuinfo: str, options: str, cache: Path) -> str:
    """Find the name of another machine's CPU; empty if none is certain, or the compiler here does not know it.

    The name that the compiler there reports is used if the kernel there confirms all of its features. Otherwise it is
    the highest psABI level that the kernel confirms.

    Args:
        cpuinfo: /proc/cpuinfo of the machine.
        options: the output of its ``gcc -march=native -Q --help=target``.
    """
    match = re.search(r"^\s*-m(?:arch|cpu)=\s+([\w.+-]+)\s*$", options, re.M)
    names = [match[1]] if match and match[1] != "native" else []
    has = parse_cpuinfo(cpuinfo)
    if has:
        names += ["x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"]
        if not {"lm"} & set(cpuinfo.split()):  # a CPU of 32 bits
            names = names[:1]
    for name in names:
        arch, provides = resolve.capabilities_of_cpu(name, cache)
        certain = arch not in {"x86_64", "i386"} or provides.features <= has | _HIDDEN | NOT_EMITTED.keys()
        if provides.known and certain and _is_accepted(name, cache):
            return name
    return ""


def _is_accepted(name: str, cache: Path) -> bool:
    """Whether the compiler of this machine builds for a CPU of that name."""
    try:
        isa_cpu.macros(name, cache, place="")
    except GmError:
        return False
    return True


def capabilities(cache: Path, chost: str = "") -> Requirement:
    """Return what the CPU of this machine provides; unknown if no compiler can determine it."""
    return resolve.capabilities((_NATIVE.get(isa_flags.arch_of(chost), "-mcpu=native"),), cache, chost=chost)


def measure(flags: tuple[str, ...], chost: str, cache: Path) -> Requirement:
    """Return what code requires that the compiler of this machine builds with flags; ``native`` is this machine."""
    needs, _ = _query_compiler(isa_flags.arch_of(chost, flags), flags, cache)
    return needs if needs.known else resolve.requirement_on(isa_flags.arch_of(chost, flags), flags, cache)


def runs_here(cpu: str, abi: Abi, cache: Path) -> Verdict:
    """Decide whether code for a CPU runs on this machine; code ``unknown``, without a reason, if that is unknown.

    Args:
        cpu: machine flags of the compiler.
        abi: of the code; only its CHOST matters.
    """
    flags = machine_flags(cpu)
    here, there = isa_flags.arch_of(""), isa_flags.arch_of(abi.chost, flags)
    if here and there and there != here and there not in _ALSO_RUNS.get(here, ()):
        return Verdict(accept=False, code="abi", reason=f"is code for {there}, and this machine is {here}")
    needs, has = _query_compiler(there, flags, cache)
    if not (needs.known and has.known):
        needs, has = resolve.requirement_on(there, flags, cache), _query_kernel(there)
    return judge(needs, replace(has, features=has.features | _HIDDEN), unknown="accept")


def _query_compiler(arch: str, flags: tuple[str, ...], cache: Path) -> tuple[Requirement, Requirement]:
    """Return what code requires and what this machine provides, both from the compiler of this machine."""
    try:
        local = compiler.find()
    except MissingProgram as error:
        return unknown_requirement(error.message), unknown_requirement(error.message)
    plain = compiler.predefined_macros(local, (), cache) or frozenset()
    width = ("-m32",) if arch == "i386" and "x86_64" in plain else ()
    needs = compiler.measure(local, (*width, *flags), cache)
    has = compiler.measure(local, (*width, _NATIVE.get(arch, "-mcpu=native")), cache)
    return needs, resolve.with_kernel(has)


def _query_kernel(arch: str) -> Requirement:
    """Return what the kernel reports of this machine's CPU; unknown if it names no feature."""
    try:
        features = parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        return unknown_requirement(f"/proc/cpuinfo: {error.strerror}")
    if not features or arch not in {"x86_64", "i386"}:
        return unknown_requirement("the kernel does not name the features of this CPU")
    return Requirement(features=features, abi=isa_flags.abi(arch, ()), description="/proc/cpuinfo")
