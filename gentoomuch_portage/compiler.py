"""The compiler, asked what it makes of flags: cached, since its answer changes only with it."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.requirement import Requirement, of_macros
from gentoomuch_portage.run import run, where

_MACRO = re.compile(r"#define __(\w+?)(?:__)? ")
_COMPILERS = ("gcc", "cc", "clang")
_OLDEST = {"x86_64": "-march=x86-64", "i386": "-march=i686", "aarch64": "-march=armv8-a"}
"""The oldest CPU of an ABI; elsewhere the compiler's own default stands for it."""


def find(told: str = "") -> Path:
    """The C compiler that CC names, or the one that is there.

    Raises:
        MissingProgram: there is none.
    """
    names = [told.split()[0]] if told.split() else []
    if found := next(filter(None, map(where, (*names, *_COMPILERS))), None):
        return found
    raise MissingProgram("gcc", "sys-devel/gcc")


def macros(compiler: Path, flags: Iterable[str], cache: Path) -> frozenset[str] | None:
    """What a compiler predefines for machine flags, without the underscores; None where it refuses them.

    ``native`` is answered for this machine, so its answer is kept for this machine alone.
    """
    flags = tuple(flags)
    seen = compiler.stat()
    machine = _machine() if any("native" in flag for flag in flags) else ""
    key = "\0".join([str(compiler), str(seen.st_mtime_ns), str(seen.st_size), machine, *flags])
    kept = cache / "isa" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return None if found is None else frozenset(found)
    except (OSError, ValueError):
        pass
    ran = run([str(compiler), *flags, "-dM", "-E", "-x", "c", "/dev/null"], keep=True, accept=())
    answer = frozenset(_MACRO.findall(ran.out)) if ran.status == 0 else None
    files.write(kept, json.dumps(answer if answer is None else sorted(answer)))
    return answer


def requirement(compiler: Path, flags: tuple[str, ...], cache: Path) -> Requirement:
    """What code built with these machine flags needs."""
    told = " ".join(flags) or "no -march"
    found = macros(compiler, flags, cache)
    if found is None:
        return Requirement(
            features=frozenset(), abi=frozenset(), told=f"{compiler.name} does not take {told}", known=False
        )
    abi = [flag for flag in flags if re.fullmatch(r"-m(32|64|x32|abi=.*|float-abi=.*)", flag)]
    oldest = next((flag for name, flag in _OLDEST.items() if name in found), None)
    base = macros(compiler, [*abi, *([oldest] if oldest else [])], cache)
    return of_macros(found, base or frozenset(), told)


def known_names(compiler: Path) -> tuple[str, ...]:
    """The names that a compiler takes after -march=, as its error lists them."""
    told = run([str(compiler), "-march=?", "-E", "-x", "c", "/dev/null"], keep=True, accept=()).err
    found = re.search(r"valid arguments to .*? are: (.*?)(?:;|$)", told, re.M)
    return tuple(found[1].split()) if found else ()


def _machine() -> str:
    """What tells this CPU from another."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    return "\n".join(sorted(set(re.findall(r"^(?:flags|Features|model name|isa)\s*:.*$", told, re.M))))
