"""A report of machine code, held against the flags that it was built with and the CPU that it is for."""

from collections.abc import Iterable
from dataclasses import dataclass

from gentoomuch_portage.audit.instructions import OF_X86_64
from gentoomuch_portage.audit.report import Finding, Report
from gentoomuch_portage.requirement import SILENT, Requirement

CLEAN = "clean"
EXCEEDS_FLAGS = "exceeds its flags"
EXCEEDS_CPU = "exceeds the CPU"
DISPATCHES = "dispatches at run time"
NOT_AUDITED = "not audited"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a package."""

    verdict: str
    beyond: tuple[Finding, ...] = ()
    """Plain use of what the flags, or the CPU, do not allow."""
    chosen: tuple[Finding, ...] = ()
    """The same, but chosen at run time, or suspected to be."""

    @property
    def exceeds(self) -> bool:
        """Whether somebody may run into it."""
        return bool(self.beyond)


def judge(report: Report, flags: Requirement, cpu: Requirement | None = None) -> Judgement:
    """Hold a report against flags, and against a CPU where one is given.

    Args:
        flags: what they stand for; where they are not known, the oldest CPU of the ABI.
    """
    for has, verdict in ((cpu, EXCEEDS_CPU), (flags, EXCEEDS_FLAGS)):
        if has is not None and (found := tuple(_beyond(report.plain, _allowed(report, has)))):
            return Judgement(verdict, found, tuple(_chosen(report, has)))
    chosen = tuple(_chosen(report, flags))
    if report.skipped and not report.size:
        return Judgement(NOT_AUDITED)
    return Judgement(DISPATCHES if chosen else CLEAN, chosen=chosen)


def excess(finding: Finding, report: Report, has: Requirement) -> tuple[str, ...]:
    """What a finding needs beyond that, in lower case, sorted."""
    return tuple(sorted(name.lower() for name in set(finding.features) - _allowed(report, has)))


def proven(report: Report, has: Requirement, told: str) -> Requirement | None:
    """What a package needs at most, for one that does not tell: all that stands in its code, dispatched or not.

    Args:
        has: the CPU that it would run on. Portage has compared CHOST; the kind of machine is seen in the code.
        told: why its flags are not known.

    Returns:
        None where its code does not prove it: a part of it could not be read, or is for another kind of machine.
    """
    if report.skipped or not report.machines <= ({"x86_64"} & has.abi):
        return None
    words = " ".join(sorted(name.lower() for name in report.features)) or "nothing beyond the oldest CPU"
    return Requirement(features=report.features, abi=has.abi, told=f"{told}; its machine code has {words}")


def _beyond(findings: Iterable[Finding], allowed: frozenset[str]) -> Iterable[Finding]:
    return (finding for finding in findings if set(finding.features) - allowed)


def _chosen(report: Report, has: Requirement) -> Iterable[Finding]:
    return _beyond((finding for finding in report.findings if finding.how != "plain"), _allowed(report, has))


def _allowed(report: Report, has: Requirement) -> frozenset[str]:
    """What does not count; 32-bit parts of a 64-bit package may use what every such CPU has."""
    wide = "x86_64" in (has.abi or report.machines)
    return (has.features if has.known else frozenset()) | SILENT.keys() | (OF_X86_64 if wide else frozenset())
