# SPDX-License-Identifier: GPL-2.0-or-later
"""Query the local C compiler for its predefined macros; cached until it or the machine changes."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.fs import Cache
from gentoomuch_portage.isa.cached import COMPILERS
from gentoomuch_portage.isa.macros import parse_macros, to_requirement
from gentoomuch_portage.isa.requirement import Requirement, unknown_requirement
from gentoomuch_portage.process import find_program, run

_LAUNCHERS = frozenset({"ccache", "distcc", "icecc", "sccache"})
_OLDEST = (
    ("x86_64", ("-march=x86-64",)),
    ("i386", ("-march=i386",)),
    ("aarch64", ("-march=armv8-a",)),
    ("arm", ("-march=armv5te", "-mfloat-abi=soft")),
    ("CALL_ELF=2", ("-mcpu=power8",)),
    ("powerpc64", ("-mcpu=powerpc64",)),
    ("riscv_xlen=64", ("-march=rv64i", "-mabi=lp64")),
)
"""A macro of an architecture -> the flags of its oldest CPU; for others the compiler's default is used."""
_ABI = re.compile(r"-m(32|64|x32|abi=.*)")


def find(cc: str = "") -> Path:
    """Find the C compiler that CC names, or any other.

    Raises:
        MissingProgram: none is installed.
    """
    names = [word for word in cc.split() if word not in _LAUNCHERS][:1]
    if compiler := next(filter(None, map(find_program, (*names, *COMPILERS))), None):
        return compiler
    raise MissingProgram("gcc", "sys-devel/gcc")


def predefined_macros(compiler: Path, flags: Iterable[str], cache: Path) -> frozenset[str] | None:
    """Return the macros that a compiler predefines for machine flags; None if it rejects the flags.

    An answer for ``native`` is cached for this machine only.
    """
    flags = tuple(flags)
    seen = compiler.stat()
    machine = identify_cpu() if any("native" in flag for flag in flags) else ""
    key = "\0".join([str(compiler), str(seen.st_mtime_ns), str(seen.st_size), machine, *flags])
    answers = Cache(cache / "isa")
    cached = answers.load(key, _parse_cached)
    if cached is not None:
        return cached.macros
    ran = run([str(compiler), *flags, "-dM", "-E", "-x", "c", "/dev/null"], keep=True, accept=())
    answer = parse_macros(ran.out) if ran.status == 0 else None
    answers.store(key, answer if answer is None else sorted(answer))
    return answer


class _Cached(NamedTuple):
    """A cached answer."""

    macros: frozenset[str] | None


def _parse_cached(macros: list[str] | None) -> _Cached:
    if macros is not None and not (
        isinstance(macros, list) and macros and all(isinstance(macro, str) for macro in macros)
    ):
        raise TypeError("not a list of macros")
    return _Cached(None if macros is None else frozenset(macros))


def measure(compiler: Path, flags: tuple[str, ...], cache: Path) -> Requirement:
    """Return what code requires that a compiler builds with machine flags."""
    description = " ".join(flags) or "no -march"
    macros = predefined_macros(compiler, flags, cache)
    if macros is None:
        return unknown_requirement(f"{compiler.name} rejects {description}")
    abi = [flag for flag in flags if _ABI.fullmatch(flag)]
    base = predefined_macros(compiler, [*abi, *oldest_cpu_flags(macros)], cache)
    return to_requirement(macros, base or frozenset(), description)


def oldest_cpu_flags(macros: frozenset[str]) -> tuple[str, ...]:
    """Return the flags of the oldest CPU of the architecture that macros belong to; none if it is not listed."""
    return next((flags for macro, flags in _OLDEST if macro in macros), ())


def list_cpu_names(compiler: Path, option: str = "-march") -> tuple[str, ...]:
    """Return the names that a compiler accepts for -march= or -mcpu=, which its error message lists."""
    message = run([str(compiler), f"{option}=?", "-E", "-x", "c", "/dev/null"], keep=True, accept=()).err
    names = re.search(r"valid .*?are: (.*?)(?:;|$)", message, re.M)
    return tuple(names[1].replace(",", " ").split()) if names else ()


def identify_cpu() -> str:
    """Return text that differs between CPUs."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    return "\n".join(sorted(set(re.findall(r"^(?:flags|Features|model name|isa)\s*:.*$", cpuinfo, re.M))))
