"""``gentoomuch binpkg audit``: the machine code of packages, and whether it keeps to their flags.

``gentoomuch binpkg``: which binary package runs where, and why not.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import NoProfileSet
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, group, listing, profile_named, profiled
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError

if TYPE_CHECKING:
    from gentoomuch_portage.audit.report import Finding, Judgement, Report
    from gentoomuch_portage.isa.requirement import Requirement
    from gentoomuch_portage.reports.audit import Audited


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
    from gentoomuch_portage.audit import pool
    from gentoomuch_portage.reports import audit as reports_audit

    begun = time.monotonic()
    with ExitStack() as around:
        examine = around.enter_context(pool.examining(args.jobs or pool.jobs()))
        cpu, env = reports_audit.held_against(settings, args.profile, around)
        asked = reports_audit.packages(settings, env, args.atom, installed=args.installed)
        told = around.enter_context(console.progress("audit", len(asked), quiet=args.quiet))
        rows = list(_rows(reports_audit.audited(asked, settings, examine, told), cpu))
    seconds = time.monotonic() - begun
    if args.json:
        console.say_json([_as_data(row) for row in rows])
    else:
        _show(rows, seconds, everything=args.all, quiet=args.quiet)
    return int(any(row.judgement.exceeds for row in rows))


def _rows(found: "Iterable[Audited]", cpu: "Requirement | None") -> Iterator[_Row]:
    from gentoomuch_portage.audit import report as audit_report
    from gentoomuch_portage.audit.report import NOT_AUDITED, Judgement

    for one in found:
        if isinstance(one.report, GmError):
            yield _Row(one, Judgement(NOT_AUDITED))
        else:
            yield _Row(one, audit_report.judge(one.report, one.flags, cpu))


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


def _remotely(parser: Parser) -> None:
    parser.add_argument("--remote", action="store_true", help="also what binhosts offer; fetches their indexes")


def _add_ls(parser: Parser) -> None:
    listing(parser)
    _remotely(parser)
    parser.add_argument("--profile", metavar="NAME", help="of this profile alone; of all where left out")
    parser.add_argument("atom", nargs="?", metavar="ATOM", help="only what matches; all where left out")


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    names = (args.profile,) if args.profile else config_profile.names(settings)
    if not names:
        raise NoProfileSet(names)
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        for one in _judged(settings, name, args.atom, remote=args.remote):
            offer = one.offer.binpkg
            row = rows.setdefault(offer.name, {**_identity(one), "runs_on": [], "refused": {}})
            if one.verdict.accept:
                row["runs_on"].append(name)
            else:
                row["refused"][name] = one.verdict.reason
    if args.json:
        console.say_json(list(rows.values()))
    elif rows:
        cells = [(key, *(_mark(row, name) for name in names), row["flags"]) for key, row in sorted(rows.items())]
        console.say(columns(("binary package", *names, "built with"), cells))
    elif not args.quiet:
        console.tell("no binary packages are on offer")
    return 0


def _mark(row: dict[str, Any], name: str) -> str:
    return console.good("runs") if name in row["runs_on"] else console.bad("no") if name in row["refused"] else "-"


def _identity(one: Any) -> dict[str, Any]:
    """What names an instance, as every ``--json`` of this command does."""
    offer = one.offer.binpkg
    return {"cpv": offer.cpv, "build_id": offer.build_id, "where": offer.where, "flags": one.flags}


def _judged(settings: Settings, name: str, atom: str | None, *, remote: bool, signatures: bool = False) -> list[Any]:
    from gentoomuch_portage.emerge.profile_view import looked_at
    from gentoomuch_portage.reports import binpkgs

    with looked_at(settings, name) as view:
        return binpkgs.judged(view.plan, settings, atom, remote=remote, signatures=signatures)


def _add_why(parser: Parser) -> None:
    listing(parser)
    _remotely(parser)
    profiled(parser)
    parser.add_argument("atom", metavar="CPV", help="a package, with or without version and build-id")


def _why(settings: Settings, args: argparse.Namespace) -> int:
    name = profile_named(settings, args)
    found = _judged(settings, name, args.atom, remote=args.remote, signatures=True)
    if args.json:
        console.say_json([_row(one, name) for one in found])
        return 0
    for one in found:
        console.say(
            f"{console.heading(one.offer.binpkg.name)}  {worded(one)}  {console.faint(_identity(one)['where'])}"
        )
        for code, text in one.reasons:
            console.say(f"    {code}: {text}")
        if not one.offer.signature.against:
            console.say(console.faint(f"    signature: {one.offer.signature.text}"))
    return 0


def worded(one: Any) -> str:
    """What a run that needs an instance does with it."""
    if one.taken:
        return console.good("may be taken, once unmasked" if one.reasons else "may be taken")
    return console.bad("not taken")


def _row(one: Any, profile: str) -> dict[str, Any]:
    code, reason = one.reasons[0] if one.reasons else ("runs", "")
    return {
        **_identity(one),
        "cpu": profile,
        "verdict": "accept" if one.taken else "reject",
        "code": code,
        "reason": reason,
        "signature": one.offer.signature.state,
        "missing": list(one.verdict.missing),
        "reasons": [{"code": code, "reason": text} for code, text in one.reasons],
        "unmasks": sorted(one.lifted),
    }


def _add_mask(parser: Parser) -> None:
    profiled(parser)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write them there instead of printing them")


def _mask_lines(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import binpkg_masks

    text = binpkg_masks.text(settings, profile_named(settings, args))
    if args.write is None:
        console.say(text.rstrip("\n"))
        return 0
    above = args.write.absolute().parent
    if above.name == "package.mask" and above.parent.is_dir():  # where a host has none yet, this is how it is asked for
        fs.ensure(above)
    fs.send(args.write, text)
    if not args.quiet:
        console.tell(f"{binpkg_masks.count(text)} masks in {args.write}")
    return 0


def command() -> Command:
    """The command with its commands."""
    return group(
        "binpkg",
        "say which binary package runs where, and why not",
        (
            Command("ls", "list binary packages, and which profiles run them", _add_ls, _ls),
            Command("why", "say for each instance why it would not be taken", _add_why, _why),
            Command("audit", "say which instruction sets stand in machine code", add_audit, audit),
            Command("mask", "print masks that keep plain emerge from what a CPU cannot run", _add_mask, _mask_lines),
        ),
    )


COMMAND = command()
