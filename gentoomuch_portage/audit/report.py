# SPDX-License-Identifier: GPL-2.0-or-later
"""Audit reports as plain data, and their comparison with build flags and a CPU."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

from gentoomuch_portage.isa.features import BASELINE, NOT_EMITTED
from gentoomuch_portage.isa.requirement import Requirement

VERSION = 3
"""Of a stored report. A report of another version is ignored, and the package is scanned again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A function, or code between functions, that requires more than the oldest CPU of its ABI."""

    file: str
    """Below the root; ``usr/lib/libx.a(y.o)`` for a part of an archive."""
    where: str
    """Its name, or ``.text+0x1234``."""
    features: tuple[str, ...]
    """Named by the compiler's macros, sorted: ``AVX``, ``AVX2``."""
    how: str
    """``plain``, or a constant of ``cpu_dispatch``."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be scanned."""

    file: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one file, or of several."""

    files: int = 0
    """ELF files and archives of them."""
    size: int = 0
    """Bytes of machine code."""
    machines: frozenset[str] = frozenset()
    """``x86_64``, ``i386``."""
    findings: tuple[Finding, ...] = ()
    """Sorted."""
    skipped: tuple[Skipped, ...] = ()

    @property
    def features(self) -> frozenset[str]:
        """All features that code uses, guarded or not."""
        return frozenset(name for finding in self.findings for name in finding.features)

    @property
    def plain(self) -> tuple[Finding, ...]:
        """Unguarded code."""
        return tuple(finding for finding in self.findings if finding.how == "plain")

    def summarise(self) -> Self:
        """Keep one finding for each file, set of features, and kind of guard: enough for every verdict."""
        kept = {(finding.how, finding.file, finding.features): finding for finding in reversed(self.findings)}
        return type(self)(
            files=self.files,
            size=self.size,
            machines=self.machines,
            findings=_sort(kept.values()),
            skipped=self.skipped,
        )

    def to_json(self) -> str:
        """Format as one line; equal reports give equal text."""
        return json.dumps({"v": VERSION, **asdict(self), "machines": sorted(self.machines)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """Parse the output of ``to_json``; None if it is of another version, or invalid."""
        try:
            content: dict[str, Any] = json.loads(text)
            if content.pop("v") != VERSION:
                return None
            findings = tuple(
                Finding(**{**item, "features": tuple(item["features"])}) for item in content.pop("findings")
            )
            skipped = tuple(Skipped(**item) for item in content.pop("skipped"))
            return cls(findings=findings, skipped=skipped, machines=frozenset(content.pop("machines")), **content)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def join(reports: Iterable[Report]) -> Report:
    """Join several reports."""
    reports = tuple(reports)
    return Report(
        files=sum(report.files for report in reports),
        size=sum(report.size for report in reports),
        machines=frozenset().union(*(report.machines for report in reports)),
        findings=_sort(finding for report in reports for finding in report.findings),
        skipped=tuple(
            sorted((skip for report in reports for skip in report.skipped), key=lambda skip: (skip.file, skip.why))
        ),
    )


def _sort(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: unguarded ones first, those with most features first."""

    def key(finding: Finding) -> tuple[bool, str, int, str]:
        return finding.how != "plain", finding.file, -len(finding.features), finding.where

    return tuple(sorted(findings, key=key))


CLEAN = "clean"
EXCEEDS_FLAGS = "exceeds its flags"
EXCEEDS_CPU = "exceeds the CPU"
DISPATCHES = "dispatches at run time"
NOT_AUDITED = "not audited"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a package."""

    verdict: str
    beyond: tuple[Finding, ...] = ()
    """Unguarded use of features beyond the flags or the CPU."""
    chosen: tuple[Finding, ...] = ()
    """The same, but guarded, or suspected to be."""

    @property
    def exceeds(self) -> bool:
        """Whether it can crash on that CPU."""
        return bool(self.beyond)


def judge(report: Report, flags: Requirement, cpu: Requirement | None = None) -> Judgement:
    """Compare a report with build flags, and optionally with a CPU.

    Args:
        flags: what they allow; unknown flags allow the oldest CPU of the ABI.
    """
    for has, verdict in ((cpu, EXCEEDS_CPU), (flags, EXCEEDS_FLAGS)):
        if has is not None and (beyond := tuple(_find_beyond(report.plain, _allowed(report, has)))):
            return Judgement(verdict, beyond, tuple(_find_guarded(report, has)))
    guarded = tuple(_find_guarded(report, flags))
    if report.skipped and not report.size:
        return Judgement(NOT_AUDITED)
    return Judgement(DISPATCHES if guarded else CLEAN, chosen=guarded)


def find_excess(finding: Finding, report: Report, has: Requirement) -> tuple[str, ...]:
    """Return the features of a finding that a CPU lacks, in lower case, sorted."""
    return tuple(sorted(name.lower() for name in set(finding.features) - _allowed(report, has)))


def prove_requirement(report: Report, has: Requirement, reason: str) -> Requirement | None:
    """Return an upper bound of what a package without known flags requires: all features of its code, guarded or not.

    Args:
        has: the CPU. Portage has compared CHOST; the type of machine is visible in the code.
        reason: why its flags are unknown.

    Returns:
        None if the code proves nothing: a part of it could not be read, or is for another type of machine.
    """
    if report.skipped or not report.machines <= ({"x86_64"} & has.abi):
        return None
    names = " ".join(sorted(name.lower() for name in report.features)) or "nothing beyond the oldest CPU"
    return Requirement(features=report.features, abi=has.abi, description=f"{reason}; its machine code has {names}")


def _find_beyond(findings: Iterable[Finding], allowed: frozenset[str]) -> Iterable[Finding]:
    return (finding for finding in findings if set(finding.features) - allowed)


def _find_guarded(report: Report, has: Requirement) -> Iterable[Finding]:
    return _find_beyond((finding for finding in report.findings if finding.how != "plain"), _allowed(report, has))


def _allowed(report: Report, has: Requirement) -> frozenset[str]:
    """Return the allowed features; 32-bit parts of a 64-bit package may use those of every x86-64."""
    wide = "x86_64" in (has.abi or report.machines)
    return (has.features if has.known else frozenset()) | NOT_EMITTED.keys() | (BASELINE if wide else frozenset())
