# SPDX-License-Identifier: GPL-2.0-or-later
"""Cached answers about CPUs, so that most runs neither query a compiler nor load the tables.

An answer is valid until a compiler on PATH or this program changes, or the machine is started again.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from gentoomuch_portage import __version__
from gentoomuch_portage.fs import Cache

COMPILERS = ("gcc", "cc", "clang")
"""Programs that are searched on PATH for a C compiler, the best first."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Differs between machines, and between starts of one machine: its CPU stays the same in between."""
_HERE = Path(__file__).parent
_T = TypeVar("_T")


def find_answer(cache: Path, key: str, compute: Callable[[], Any], parse: Callable[[Any], _T]) -> _T:
    """Return the cached answer for a key, or compute and cache it.

    Args:
        key: of the question, with all of its arguments.
        compute: returns the answer for JSON.
        parse: converts it from JSON; raises an exception of ``stored.DAMAGED`` if it is not valid.
    """
    stamp, answers = _stamp(), Cache(cache / "isa")
    if stamp and (cached := answers.load(key, parse, stamp)) is not None:
        return cached
    value = compute()
    if stamp:
        answers.store(key, value, stamp)
    return parse(value)


def _stamp() -> str:
    """Return a digest of what the answers depend on; empty if the machine cannot be identified."""
    try:
        machine_id = _BOOT.read_text(encoding="ascii")
        facts = [__version__, machine_id, os.uname().machine, *_list_compilers(), *_list_own_files()]
    except OSError:
        return ""
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _list_compilers() -> Iterator[str]:
    """List the compilers on PATH, each with size and time."""
    for path in filter(None, map(shutil.which, COMPILERS)):
        status = os.stat(path)
        yield f"{path} {status.st_mtime_ns} {status.st_size}"


def _list_own_files() -> Iterator[str]:
    """List the files that answers are computed with, each with size and time: the version of a git tree is constant."""
    for folder in (_HERE, _HERE / "data"):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_file():
                yield f"{entry.name} {entry.stat().st_mtime_ns} {entry.stat().st_size}"
