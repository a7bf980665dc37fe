# SPDX-License-Identifier: GPL-2.0-or-later
"""``cpu = "znver3"``: flags for C, C++, Fortran, Rust and Go, and CPU_FLAGS_*.

A compiler obeys the last -march, so these flags follow those of the layers; ``-mno-avx2`` of a layer still has effect.
Flags that follow them, for example of package.env, are detected at the end of src_install, and the package fails.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.config.profile import UNNAMED_CPU, Profile, cpu_unnamed
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.isa.cached import find_answer
from gentoomuch_portage.plan.plan import Line, Part, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Built

_FLAGS = ("CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS")


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if profile.cpu == UNNAMED_CPU:
        raise cpu_unnamed(profile.where("cpu"), profile.name)
    if profile.cpu:
        for line in _load_lines(profile, settings.cache):
            yield Line("make.conf", line)


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan, settings: Settings) -> Iterator[None]:
    from gentoomuch_portage.portage_adapter import binpkg_build

    with binpkg_build.checked(functools.partial(_find_reject_reason, plan, settings), apart=plan.audit == "yes"):
        return (yield)


def _find_reject_reason(plan: Plan, settings: Settings, built: Built) -> str | None:
    """Return why a package that was just built must not be merged or packed."""
    if plan.audit == "yes":  # only for builds
        from gentoomuch_portage.binpkg_filter.machine_code import find_excess
    else:
        from gentoomuch_portage.binpkg_filter.built import find_excess

    excess = find_excess(built, plan, settings)
    return excess.report() if excess else None


def _load_lines(profile: Profile, cache: Path) -> list[str]:
    """Return the lines for a CPU, cached until the compiler changes."""

    def parse(lines: list[str]) -> list[str]:
        return [str(line) for line in lines]

    return find_answer(cache, f"lines\0{profile.cpu}", lambda: list(_lines(profile, cache)), parse)


def _lines(profile: Profile, cache: Path) -> Iterator[str]:
    from gentoomuch_portage.isa import (
        cpu,
        languages,  # slow to import
    )

    options, macros = cpu.choose_flags(profile.cpu, cache, place=profile.where("cpu"))
    for name in _FLAGS:
        yield f'{name}="${{{name}}} {" ".join(options)}"'
    yield f'RUSTFLAGS="${{RUSTFLAGS}} {languages.rustflags(profile.cpu, options)}"'
    if level := cpu.goamd64(macros):
        yield f'GOAMD64="{level}"'
    name, flags = cpu.cpu_flags(macros)
    if name:
        yield f'{name}="{flags}"'
