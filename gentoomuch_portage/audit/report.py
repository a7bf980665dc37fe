"""What the machine code of files uses, as plain data that can be kept and sent."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

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
