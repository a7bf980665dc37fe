"""``[binpkg] audit = true``: the machine code of binary packages, read before they are used and after they are built.

A package whose code plainly needs more than the profile's CPU is refused, whatever its flags say: one that lies here
by the resolver, one of a binhost when it has been fetched, and from then on by the resolver too. One that does not
tell its flags is cleared where its code needs nothing that the CPU lacks (``binpkg_filter.cpu.verdict``).
What a run has built is
looked into when the run is over; what exceeds its flags is told, and nothing else becomes of it.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Part, Plan, Show
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

        pool.available()
        yield Show("the machine code of binary packages is read before they are used")


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
        return f"its machine code cannot be read: {error.why}" if plan.unknown == "reject" else None
    if report is None:
        return None
    has = cpu.offered_for(binpkg, plan, settings.cache)
    beyond = audit_report.judge(report, has).beyond
    if not beyond:
        return None
    lacking = ", ".join(audit_report.excess(beyond[0], report, has))
    return f"its machine code needs {lacking} in {beyond[0].file}: {beyond[0].where}"


def _report(binpkg: Binpkg, cache: Path) -> "Report | None":
    """What stands in a package; of one that has to be fetched, what stood in it the last time."""
    from gentoomuch_portage.audit import cache as audit_cache

    if binpkg.path is None:
        return audit_cache.remembered(binpkg.digests, cache)
    report = audit_cache.audited(binpkg.path, cache)
    audit_cache.remember(report, binpkg.digests, cache)
    return report


@hookimpl
def gm_after_run(plan: Plan, settings: Settings, status: int, seconds: float) -> None:
    if plan.audit != "yes":
        return
    from gentoomuch_portage import console

    for path in _built(plan, time.time() - seconds):
        for line in _exceeding(path, settings):
            console.warn(line)


def _built(plan: Plan, since: float) -> list[Path]:
    """The binary packages that a run has made, or fetched."""
    from gentoomuch_portage.portage_adapter import config

    folder = Path(config.load(Path(plan.configroot)).values["PKGDIR"])
    found = (path for path in folder.rglob("*") if path.name.endswith(_SUFFIXES))
    return sorted(path for path in found if path.stat().st_ctime >= since)


def _exceeding(path: Path, settings: Settings) -> Iterator[str]:
    from gentoomuch_portage.audit import cache as audit_cache
    from gentoomuch_portage.audit import report as audit_report
    from gentoomuch_portage.binpkg.source import BadBinpkg
    from gentoomuch_portage.binpkg_filter import cpu

    try:
        report = audit_cache.audited(path, settings.cache)
    except BadBinpkg as error:
        yield error.message
        return
    flags = cpu.needed_by(_nameless(path), settings.cache)
    judged = audit_report.judge(report, flags)
    if judged.exceeds:
        yield f"{path.name} exceeds its flags ({flags.told}):"
        for one in judged.beyond[:3]:
            yield f"    {' '.join(audit_report.excess(one, report, flags))} in {one.file}: {one.where}"


def _nameless(path: Path) -> Binpkg:
    """A binary package of which nothing is known but its file."""
    nothing: frozenset[str] = frozenset()
    return Binpkg(
        cpv=path.name, root="/", build_id=0, build_time=0, use=nothing, iuse=nothing, chost="", path=path, url="",
        size=0, digests=(),
    )  # fmt: skip
