"""``cpu = "znver3"``: flags for C, C++, Fortran, Rust and Go, and CPU_FLAGS_*.

The last -march wins on a compiler's command line, so ours stands behind what the layers say;
a ``-mno-avx2`` of a layer still holds.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Line, Part
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl

_FLAGS = ("CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS")


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if profile.cpu:
        for line in _kept(profile, settings.cache):
            yield Line("make.conf", line)


def _kept(profile: Profile, cache: Path) -> list[str]:
    """The lines for a CPU; kept for as long as the compiler is the same, except those of this very machine."""
    compiler = shutil.which("gcc") or ""
    if profile.cpu == "native" or "/" in profile.cpu or not compiler:
        return list(_lines(profile, cache))
    seen = os.stat(compiler)
    key = [profile.cpu, compiler, seen.st_mtime_ns, seen.st_size]
    kept = cache / "isa" / f"cpu-{profile.cpu}.json"
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["key"] == key:
            return list(found["lines"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from gentoomuch_portage import fs

    lines = list(_lines(profile, cache))
    fs.write(kept, json.dumps({"key": key, "lines": lines}))
    return lines


def _lines(profile: Profile, cache: Path) -> Iterator[str]:
    from gentoomuch_portage.isa import (
        cpu,
        languages,  # takes longer to import than all else here
    )

    options, found = cpu.chosen(profile.cpu, cache, asked_at=profile.where("cpu"))
    for name in _FLAGS:
        yield f'{name}="${{{name}}} {" ".join(options)}"'
    yield f'RUSTFLAGS="${{RUSTFLAGS}} {languages.rustflags(profile.cpu, options)}"'
    if level := cpu.goamd64(found):
        yield f'GOAMD64="{level}"'
    name, flags = cpu.cpu_flags(found)
    if name:
        yield f'{name}="{flags}"'
