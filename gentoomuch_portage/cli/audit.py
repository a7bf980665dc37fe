"""``gentoomuch binpkg audit``: the machine code of packages, and whether it keeps to their flags."""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.audit.judgement import Judgement
    from gentoomuch_portage.audit.report import Finding, Report
    from gentoomuch_portage.auditing import Audited
    from gentoomuch_portage.requirement import Requirement

_FEW = 3
"""Functions that are named for each package unless all are asked for."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A package, and what became of it."""

    package: "Audited"
    judgement: "Judgement"


def add_audit(parser: Parser) -> None:
    """Add the arguments of the command."""
    listing(parser)
    parser.add_argument("--profile", metavar="NAME", help="also hold it against the CPU of this profile")
    parser.add_argument("--installed", action="store_true", help="what is installed instead of binary packages")
    parser.add_argument("--all", action="store_true", help="name all functions")
    parser.add_argument("--jobs", type=_number, metavar="N", help="processes; as many as CPUs where left out")
    parser.add_argument("atom", nargs="*", metavar="CPV", help="a package, with or without version; all where left out")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def audit(settings: Settings, args: argparse.Namespace) -> int:
    """Audit packages; 1 where one runs what its flags, or the profile's CPU, do not allow.

    Raises:
        MissingProgram: a library is not installed.
        GmError: the profile is wrong, or there is no such package.
    """
    from gentoomuch_portage import auditing
    from gentoomuch_portage.audit import work

    begun = time.monotonic()
    with ExitStack() as around:
        examine = around.enter_context(work.examining(args.jobs or work.jobs()))
        cpu, env = auditing.held_against(settings, args.profile, around)
        asked = auditing.packages(settings, env, args.atom, installed=args.installed)
        told = around.enter_context(console.progress("audit", len(asked), quiet=args.quiet))
        rows = list(_rows(auditing.audited(asked, settings, examine, told), cpu))
    seconds = time.monotonic() - begun
    if args.json:
        console.say_json([_as_data(row) for row in rows])
    else:
        _show(rows, seconds, everything=args.all, quiet=args.quiet)
    return int(any(row.judgement.exceeds for row in rows))


def _rows(found: "Iterable[Audited]", cpu: "Requirement | None") -> Iterator[_Row]:
    from gentoomuch_portage.audit import judgement
    from gentoomuch_portage.audit.judgement import NOT_AUDITED, Judgement

    for one in found:
        if isinstance(one.report, GmError):
            yield _Row(one, Judgement(NOT_AUDITED))
        else:
            yield _Row(one, judgement.judge(one.report, one.flags, cpu))


def _show(rows: list[_Row], seconds: float, *, everything: bool, quiet: bool) -> None:
    for row in rows:
        if not quiet or row.judgement.exceeds:
            console.say_each(_lines(row, everything=everything))
    size = sum(row.package.report.size for row in rows if not isinstance(row.package.report, GmError)) / 1e6
    if not quiet:
        packages = f"{len(rows)} package{'s' * (len(rows) != 1)}"
        speed = f"{size / seconds:.1f} MB/s"
        console.tell(f"{packages}, {size:.1f} MB of machine code in {seconds:.1f} s: {speed}")


def _lines(row: _Row, *, everything: bool) -> Iterator[str]:
    package, verdict = row.package, row.judgement.verdict
    colour = console.bad if row.judgement.exceeds else console.good if verdict in {"clean"} else str
    yield f"{console.heading(package.name)}  {colour(verdict)}  {console.faint(package.flags.told)}"
    if isinstance(package.report, GmError):
        yield f"    {package.report.message}"
        return
    beyond = row.judgement.beyond
    yield from (_line(one, package.report) for one in (beyond if everything else beyond[:_FEW]))
    if len(beyond) > _FEW and not everything:
        yield f"    and {len(beyond) - _FEW} more (--all)"
    if everything:
        yield from (f"{_line(one, package.report)}  {console.faint(one.how)}" for one in row.judgement.chosen)
    elif row.judgement.chosen:
        ways = Counter(one.how for one in row.judgement.chosen)
        told = ", ".join(f"{how} {count}" for how, count in sorted(ways.items()))
        yield f"    chosen at run time, or perhaps: {told}"
    skipped = package.report.skipped
    yield from (f"    not audited: {one.file}: {one.why}" for one in (skipped if everything else skipped[:_FEW]))
    if len(skipped) > _FEW and not everything:
        yield f"    not audited: {len(skipped) - _FEW} more (--all)"


def _line(finding: "Finding", report: "Report") -> str:
    words = " ".join(name.lower() for name in finding.features)
    return f"    {words}  {finding.file}: {finding.where}"


def _as_data(row: _Row) -> dict[str, Any]:
    package, report = row.package, row.package.report
    shown = {
        "cpv": package.name,
        "where": package.where,
        "flags": package.flags.told if package.flags.known else "",
        "verdict": row.judgement.verdict,
        "beyond": [_finding(one) for one in row.judgement.beyond],
        "chosen": [_finding(one) for one in row.judgement.chosen],
    }
    if isinstance(report, GmError):
        return {**shown, "bytes": 0, "features": [], "skipped": [{"file": "", "why": report.message}]}
    return {
        **shown,
        "bytes": report.size,
        "features": sorted(name.lower() for name in report.features),
        "skipped": [{"file": one.file, "why": one.why} for one in report.skipped],
    }


def _finding(one: "Finding") -> dict[str, Any]:
    features = [name.lower() for name in one.features]
    return {"file": one.file, "function": one.where, "features": features, "how": one.how}
