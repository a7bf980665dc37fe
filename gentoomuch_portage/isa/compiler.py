"""The compiler, asked what it makes of flags: cached, since its answer changes only with it."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.isa.macros import parsed
from gentoomuch_portage.isa.requirement import Requirement, of_macros, untold
from gentoomuch_portage.process import run, where

_LAUNCHERS = frozenset({"ccache", "distcc", "icecc", "sccache"})
_COMPILERS = ("gcc", "cc", "clang")
_OLDEST = (
    ("x86_64", ("-march=x86-64",)),
    ("i386", ("-march=i386",)),
    ("aarch64", ("-march=armv8-a",)),
    ("arm", ("-march=armv5te", "-mfloat-abi=soft")),
    ("CALL_ELF=2", ("-mcpu=power8",)),
    ("powerpc64", ("-mcpu=powerpc64",)),
    ("riscv_xlen=64", ("-march=rv64i", "-mabi=lp64")),
)
"""A macro of an architecture -> the flags of its oldest CPU; elsewhere the compiler's own default stands for it."""
_ABI = re.compile(r"-m(32|64|x32|abi=.*)")


def find(told: str = "") -> Path:
    """The C compiler that CC names, or the one that is there.

    Raises:
        MissingProgram: there is none.
    """
    names = [word for word in told.split() if word not in _LAUNCHERS][:1]
    if found := next(filter(None, map(where, (*names, *_COMPILERS))), None):
        return found
    raise MissingProgram("gcc", "sys-devel/gcc")


def macros(compiler: Path, flags: Iterable[str], cache: Path) -> frozenset[str] | None:
    """What a compiler predefines for machine flags, as ``macros`` reads it; None where it refuses them.

    ``native`` is answered for this machine, so its answer is kept for this machine alone.
    """
    flags = tuple(flags)
    seen = compiler.stat()
    machine = _machine() if any("native" in flag for flag in flags) else ""
    key = "\0".join(["2", str(compiler), str(seen.st_mtime_ns), str(seen.st_size), machine, *flags])
    kept = cache / "isa" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return None if found is None else frozenset(found)
    except (OSError, ValueError):
        pass
    ran = run([str(compiler), *flags, "-dM", "-E", "-x", "c", "/dev/null"], keep=True, accept=())
    answer = parsed(ran.out) if ran.status == 0 else None
    fs.write(kept, json.dumps(answer if answer is None else sorted(answer)))
    return answer


def requirement(compiler: Path, flags: tuple[str, ...], cache: Path) -> Requirement:
    """What code built with these machine flags needs."""
    told = " ".join(flags) or "no -march"
    found = macros(compiler, flags, cache)
    if found is None:
        return untold(f"{compiler.name} does not take {told}")
    abi = [flag for flag in flags if _ABI.fullmatch(flag)]
    base = macros(compiler, [*abi, *oldest(found)], cache)
    return of_macros(found, base or frozenset(), told)


def oldest(found: frozenset[str]) -> tuple[str, ...]:
    """The flags of the oldest CPU of an architecture, told by its macros; none where there is no name for it."""
    return next((flags for macro, flags in _OLDEST if macro in found), ())


def known_names(compiler: Path, option: str = "-march") -> tuple[str, ...]:
    """The names that a compiler takes after -march= or -mcpu=, as its error lists them."""
    told = run([str(compiler), f"{option}=?", "-E", "-x", "c", "/dev/null"], keep=True, accept=()).err
    found = re.search(r"valid .*?are: (.*?)(?:;|$)", told, re.M)
    return tuple(found[1].replace(",", " ").split()) if found else ()


def _machine() -> str:
    """What tells this CPU from another."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    return "\n".join(sorted(set(re.findall(r"^(?:flags|Features|model name|isa)\s*:.*$", told, re.M))))
