"""A report of machine code, held against the flags that it was built with and the CPU that it is for.

What the machine code of files uses, as plain data that can be kept and sent.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

from gentoomuch_portage.audit.instructions import OF_X86_64
from gentoomuch_portage.isa.requirement import SILENT, Requirement

VERSION = 1
"""Of what is found and how; what an older one kept is found anew."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A function, or what stands between functions, that needs more than the oldest CPU of its ABI."""

    file: str
    """Below the root; ``usr/lib/libx.a(y.o)`` for a part of an archive."""
    where: str
    """Its name, or ``.text+0x1234``."""
    features: tuple[str, ...]
    """As the compiler's macros name them, sorted: ``AVX``, ``AVX2``."""
    how: str
    """``plain``, or how it is chosen at run time (``dispatch``)."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be audited."""

    file: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one file, or several, hold."""

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
        """Everything that any code needs, chosen at run time or not."""
        return frozenset(name for finding in self.findings for name in finding.features)

    @property
    def plain(self) -> tuple[Finding, ...]:
        """What anyone may run."""
        return tuple(finding for finding in self.findings if finding.how == "plain")

    def essence(self) -> Self:
        """The same with one finding for each way, file and set of features: enough for every verdict."""
        telling = {(finding.how, finding.file, finding.features): finding for finding in reversed(self.findings)}
        return type(self)(
            files=self.files,
            size=self.size,
            machines=self.machines,
            findings=_ordered(telling.values()),
            skipped=self.skipped,
        )

    def to_json(self) -> str:
        """One line; equal reports give equal text."""
        return json.dumps({"v": VERSION, **asdict(self), "machines": sorted(self.machines)}, sort_keys=True)

    @classmethod
    def of_json(cls, text: str) -> Self | None:
        """Read what ``to_json`` wrote; None where it was another version, or is damaged."""
        try:
            found: dict[str, Any] = json.loads(text)
            if found.pop("v") != VERSION:
                return None
            findings = tuple(Finding(**{**one, "features": tuple(one["features"])}) for one in found.pop("findings"))
            skipped = tuple(Skipped(**one) for one in found.pop("skipped"))
            return cls(findings=findings, skipped=skipped, machines=frozenset(found.pop("machines")), **found)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def joined(reports: Iterable[Report]) -> Report:
    """Several reports as one."""
    reports = tuple(reports)
    return Report(
        files=sum(one.files for one in reports),
        size=sum(one.size for one in reports),
        machines=frozenset().union(*(one.machines for one in reports)),
        findings=_ordered(finding for one in reports for finding in one.findings),
        skipped=tuple(sorted((skip for one in reports for skip in one.skipped), key=lambda one: (one.file, one.why))),
    )


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Plain use first, the widest instructions first."""
    return tuple(sorted(findings, key=lambda one: (one.how != "plain", one.file, -len(one.features), one.where)))


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
