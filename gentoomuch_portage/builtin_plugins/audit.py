# SPDX-License-Identifier: GPL-2.0-or-later
"""``[binpkg] audit = true``: scan the machine code of binary packages before they are used and after they are built.

A package is rejected if its code has unguarded instructions beyond the profile's CPU, whatever its flags are: a local
one by the resolver, one of a binhost after it was fetched, and by the resolver in later runs. A package without known
flags is accepted if its code requires nothing that the CPU lacks (``binpkg_filter.cpu``). Packages that a run has
built are scanned after the run, with warnings if they exceed their flags.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Note, Part, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg

if TYPE_CHECKING:
    from gentoomuch_portage.audit.report import Report

_SUFFIXES = (".gpkg.tar", ".xpak", ".tbz2")


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if profile.binpkg["audit"]:
        from gentoomuch_portage.audit import pool

        pool.check_available()
        yield Note("the machine code of binary packages is scanned before they are used")


@hookimpl(trylast=True)
def gm_reject_binpkg(binpkg: Binpkg, plan: Plan, settings: Settings) -> str | None:
    if plan.audit != "yes":
        return None
    from gentoomuch_portage.audit import report as audit_report
    from gentoomuch_portage.binpkg.source import BadBinpkg
    from gentoomuch_portage.binpkg_filter import cpu

    try:
        report = _report(binpkg, settings.cache)
    except BadBinpkg as error:
        return f"cannot read its machine code: {error.why}" if plan.unknown == "reject" else None
    if report is None:
        return None
    has = cpu.find_cpu_of_root(binpkg.root, plan, settings.cache)
    beyond = audit_report.judge(report, has).beyond
    if not beyond:
        return None
    lacking = ", ".join(audit_report.find_excess(beyond[0], report, has))
    return f"its machine code needs {lacking} in {beyond[0].file}: {beyond[0].where}"


def _report(binpkg: Binpkg, cache: Path) -> "Report | None":
    """Return the report of a package; for one that has to be fetched, that of the last download."""
    from gentoomuch_portage.audit import cache as audit_cache

    if binpkg.path is None:
        return audit_cache.load_fetched(binpkg.digests, cache)
    report = audit_cache.load_or_scan(binpkg.path, cache)
    audit_cache.store_fetched(report, binpkg.digests, cache)
    return report


@hookimpl
def gm_after_run(plan: Plan, settings: Settings, status: int, seconds: float) -> None:
    if plan.audit != "yes":
        return
    from gentoomuch_portage import console

    for path in _find_built(plan, time.time() - seconds):
        for line in _describe_excess(path, settings):
            console.warning(line)


def _find_built(plan: Plan, since: float) -> list[Path]:
    """Find the binary packages that a run has built or fetched."""
    from gentoomuch_portage.portage_adapter import config

    folder = Path(config.load(Path(plan.configroot)).values["PKGDIR"])
    packages = (path for path in folder.rglob("*") if path.name.endswith(_SUFFIXES))
    return sorted(path for path in packages if path.stat().st_ctime >= since)


def _describe_excess(path: Path, settings: Settings) -> Iterator[str]:
    from gentoomuch_portage.audit import cache as audit_cache
    from gentoomuch_portage.audit import report as audit_report
    from gentoomuch_portage.binpkg.source import BadBinpkg
    from gentoomuch_portage.binpkg_filter import cpu

    try:
        report = audit_cache.load_or_scan(path, settings.cache)
    except BadBinpkg as error:
        yield error.message
        return
    flags = cpu.find_requirement(_binpkg_of_file(path), settings.cache)
    judged = audit_report.judge(report, flags)
    if judged.exceeds:
        yield f"{path.name} exceeds its flags ({flags.description}):"
        for finding in judged.beyond[:3]:
            features = " ".join(audit_report.find_excess(finding, report, flags))
            yield f"    {features} in {finding.file}: {finding.where}"


def _binpkg_of_file(path: Path) -> Binpkg:
    """Create a ``Binpkg`` of which only the file is known."""
    nothing: frozenset[str] = frozenset()
    return Binpkg(
        cpv=path.name, root="/", build_id=0, build_time=0, use=nothing, iuse=nothing, chost="", path=path, url="",
        size=0, digests=(),
    )  # fmt: skip
