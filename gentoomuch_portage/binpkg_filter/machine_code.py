# SPDX-License-Identifier: GPL-2.0-or-later
"""Check packages by the machine code in their files, with ``[binpkg] audit = true``."""

import os
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.audit import cache as audit_cache
from gentoomuch_portage.audit import package_files, pool, report
from gentoomuch_portage.binpkg.source import BadBinpkg
from gentoomuch_portage.binpkg_filter import built as binpkg_filter_built
from gentoomuch_portage.binpkg_filter import cpu
from gentoomuch_portage.binpkg_filter.built import CpuExceeded
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.isa import requirement
from gentoomuch_portage.isa.requirement import Requirement, Verdict
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Built


def check_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> Verdict:
    """Check whether a binary package may be used: by its metadata, and if that is unknown, by its code."""
    verdict = cpu.check_binpkg(binpkg, plan, settings)
    if plan.audit == "yes" and verdict.code == "unknown" and not verdict.accept and binpkg.path is not None:
        available = cpu.find_cpu_of_root(binpkg.root, plan, settings.cache)
        return _prove(binpkg.path, verdict, available, settings.cache)
    return verdict


def _prove(path: Path, verdict: Verdict, available: Requirement, cache: Path) -> Verdict:
    """Check a package with unknown build flags by the machine code in its files.

    Code without any instruction that the CPU lacks, dispatched or not, is accepted; anything else proves nothing.
    """
    try:
        proven = report.prove_requirement(audit_cache.load_or_scan(path, cache), available, verdict.reason)
    except BadBinpkg as error:
        return replace(verdict, reason=f"{verdict.reason}; its machine code: {error.why}")
    if proven is None:
        return replace(verdict, reason=f"{verdict.reason}; its machine code could not be read completely")
    proven_verdict = requirement.judge(proven, available)
    return proven_verdict if proven_verdict.accept else replace(verdict, reason=proven.description)


def find_excess(built: Built, plan: Plan, settings: Settings) -> CpuExceeded | None:
    """Return the error for a new build whose flags, or whose code with ``audit``, exceed the CPU; or None."""
    if excess := binpkg_filter_built.find_excess(built, plan, settings):
        return excess
    if plan.audit == "yes" and (why := _find_beyond(built, plan, settings)):
        return CpuExceeded(built.cpv, plan.profile, why, ())
    return None


def _find_beyond(built: Built, plan: Plan, settings: Settings) -> str:
    """Return what the files of a package need beyond the CPU; empty if nothing."""
    files = (Path(folder, name) for folder, _, names in os.walk(built.image) for name in names)
    try:
        with pool.start_scanners(pool.default_jobs()) as examine:
            scanned = examine(package_files.find_code(sorted(files), built.image), lambda _: None)
    except MissingProgram:  # no disassembler in this container's root: the outer run checks the package
        return ""
    available = cpu.find_cpu_of_root(built.root, plan, settings.cache)
    beyond = report.judge(scanned, available).beyond
    if not beyond:
        return ""
    lacking = ", ".join(report.find_excess(beyond[0], scanned, available))
    return f"has machine code that needs {lacking} in {beyond[0].file}: {beyond[0].where}"
