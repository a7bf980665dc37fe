# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binpkg``: list, explain, audit and mask binary packages."""

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
from gentoomuch_portage.cli.errors import no_active_profile
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import (
    Parser,
    add_json_option,
    add_profile_option,
    group_commands,
    require_known_profile,
)
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError

if TYPE_CHECKING:
    from gentoomuch_portage.audit.report import Finding, Judgement, Report
    from gentoomuch_portage.isa.requirement import Requirement
    from gentoomuch_portage.reports.audit import Audited


_FEW = 3
"""Most functions to print for a package without ``--all``."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A package, and the result of its audit."""

    package: "Audited"
    judgement: "Judgement"


def add_audit(parser: Parser) -> None:
    """Add the arguments of ``binpkg audit``."""
    add_json_option(parser)
    parser.add_argument("--profile", metavar="NAME", help="also check for the CPU of this profile")
    parser.add_argument("--installed", action="store_true", help="audit installed packages instead of binary packages")
    parser.add_argument("--all", action="store_true", help="list all functions")
    parser.add_argument("--jobs", type=_number, metavar="N", help="number of processes (default: number of CPUs)")
    parser.add_argument("atom", nargs="*", metavar="CPV", help="package, with or without a version (default: all)")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def audit(settings: Settings, args: argparse.Namespace) -> int:
    """Audit packages; return 1 if one has code that its flags or the CPU of the profile do not allow.

    Raises:
        MissingProgram: a library is not installed.
        GmError: the profile is invalid, or no package matches.
    """
    from gentoomuch_portage.audit import pool
    from gentoomuch_portage.reports import audit as reports_audit

    begun = time.monotonic()
    with ExitStack() as around:
        examine = around.enter_context(pool.start_scanners(args.jobs or pool.default_jobs()))
        cpu, env = reports_audit.load_cpu(settings, args.profile, around)
        packages = reports_audit.find_packages(settings, env, args.atom, installed=args.installed)
        advance = around.enter_context(console.progress("audit", len(packages), quiet=args.quiet))
        rows = list(_rows(reports_audit.audit_packages(packages, settings, examine, advance), cpu))
    seconds = time.monotonic() - begun
    if args.json:
        console.print_json([_as_data(row) for row in rows])
    else:
        _show(rows, seconds, everything=args.all, quiet=args.quiet)
    return int(any(row.judgement.exceeds for row in rows))


def _rows(packages: "Iterable[Audited]", cpu: "Requirement | None") -> Iterator[_Row]:
    from gentoomuch_portage.audit import report as audit_report
    from gentoomuch_portage.audit.report import NOT_AUDITED, Judgement

    for package in packages:
        if isinstance(package.report, GmError):
            yield _Row(package, Judgement(NOT_AUDITED))
        else:
            yield _Row(package, audit_report.judge(package.report, package.flags, cpu))


def _show(rows: list[_Row], seconds: float, *, everything: bool, quiet: bool) -> None:
    for row in rows:
        if not quiet or row.judgement.exceeds:
            console.print_results(_lines(row, everything=everything))
    size = sum(row.package.report.size for row in rows if not isinstance(row.package.report, GmError)) / 1e6
    if not quiet:
        packages = f"{len(rows)} package{'s' * (len(rows) != 1)}"
        speed = f"{size / seconds:.1f} MB/s"
        console.info(f"{packages}, {size:.1f} MB of machine code in {seconds:.1f} s: {speed}")


def _lines(row: _Row, *, everything: bool) -> Iterator[str]:
    package, verdict = row.package, row.judgement.verdict
    colour = console.bad if row.judgement.exceeds else console.good if verdict in {"clean"} else str
    yield f"{console.heading(package.name)}  {colour(verdict)}  {console.faint(package.flags.description)}"
    if isinstance(package.report, GmError):
        yield f"    {package.report.message}"
        return
    beyond = row.judgement.beyond
    yield from (_line(finding, package.report) for finding in (beyond if everything else beyond[:_FEW]))
    if len(beyond) > _FEW and not everything:
        yield f"    and {len(beyond) - _FEW} more (--all)"
    if everything:
        yield from (
            f"{_line(finding, package.report)}  {console.faint(finding.how)}" for finding in row.judgement.chosen
        )
    elif row.judgement.chosen:
        ways = Counter(finding.how for finding in row.judgement.chosen)
        counts = ", ".join(f"{how} {count}" for how, count in sorted(ways.items()))
        yield f"    chosen at run time, or possibly: {counts}"
    skipped = package.report.skipped
    yield from (f"    not audited: {file.file}: {file.why}" for file in (skipped if everything else skipped[:_FEW]))
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
        "flags": package.flags.description if package.flags.known else "",
        "verdict": row.judgement.verdict,
        "beyond": [_finding(finding) for finding in row.judgement.beyond],
        "chosen": [_finding(finding) for finding in row.judgement.chosen],
    }
    if isinstance(report, GmError):
        return {**shown, "bytes": 0, "features": [], "skipped": [{"file": "", "why": report.message}]}
    return {
        **shown,
        "bytes": report.size,
        "features": sorted(name.lower() for name in report.features),
        "skipped": [{"file": file.file, "why": file.why} for file in report.skipped],
    }


def _finding(finding: "Finding") -> dict[str, Any]:
    features = [name.lower() for name in finding.features]
    return {"file": finding.file, "function": finding.where, "features": features, "how": finding.how}


def _add_remote_option(parser: Parser) -> None:
    parser.add_argument("--remote", action="store_true", help="include packages of binhosts; fetches their indexes")


def _add_ls(parser: Parser) -> None:
    add_json_option(parser)
    _add_remote_option(parser)
    parser.add_argument("--profile", metavar="NAME", help="only for this profile (default: all)")
    parser.add_argument("atom", nargs="?", metavar="ATOM", help="only matching packages (default: all)")


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    names = (args.profile,) if args.profile else config_profile.names(settings)
    if not names:
        raise no_active_profile(names)
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        for judged in _judge(settings, name, args.atom, remote=args.remote):
            offer = judged.offer.binpkg
            row = rows.setdefault(offer.name, {**_identity(judged), "runs_on": [], "rejected": {}})
            if judged.verdict.accept:
                row["runs_on"].append(name)
            else:
                row["rejected"][name] = judged.verdict.reason
    if args.json:
        console.print_json(list(rows.values()))
    elif rows:
        cells = [(key, *(_mark(row, name) for name in names), row["flags"]) for key, row in sorted(rows.items())]
        console.print_result(format_table(("binary package", *names, "built with"), cells))
    elif not args.quiet:
        console.info("no binary packages available")
    return 0


def _mark(row: dict[str, Any], name: str) -> str:
    return console.good("runs") if name in row["runs_on"] else console.bad("no") if name in row["rejected"] else "-"


def _identity(judged: Any) -> dict[str, Any]:
    """Return the fields that identify a binary package in JSON."""
    offer = judged.offer.binpkg
    return {"cpv": offer.cpv, "build_id": offer.build_id, "where": offer.where, "flags": judged.flags}


def _judge(settings: Settings, name: str, atom: str | None, *, remote: bool, signatures: bool = False) -> list[Any]:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.reports import binpkgs

    with load_view(settings, name) as view:
        return binpkgs.judge_binpkgs(view, settings, atom, remote=remote, signatures=signatures)


def _add_why(parser: Parser) -> None:
    add_json_option(parser)
    _add_remote_option(parser)
    add_profile_option(parser)
    parser.add_argument("atom", metavar="CPV", help="package, with or without version and build ID")


def _why(settings: Settings, args: argparse.Namespace) -> int:
    name = require_known_profile(settings, args)
    packages = _judge(settings, name, args.atom, remote=args.remote, signatures=True)
    if args.json:
        console.print_json([_row(judged, name) for judged in packages])
        return 0
    for judged in packages:
        binpkg = judged.offer.binpkg
        console.print_result(f"{console.heading(binpkg.name)}  {format_verdict(judged)}  {console.faint(binpkg.where)}")
        for code, text in judged.reasons:
            console.print_result(f"    {code}: {text}")
        if judged.code_free:
            console.print_result(console.faint("    cpu: no machine code, runs on every CPU"))
        if not judged.offer.signature.against:
            console.print_result(console.faint(f"    signature: {judged.offer.signature.text}"))
    return 0


def format_verdict(judged: Any) -> str:
    """Format whether a run would use a binary package."""
    if judged.taken:
        return console.good("usable after unmasking" if judged.reasons else "usable")
    return console.bad("not usable")


def _row(judged: Any, profile: str) -> dict[str, Any]:
    code, reason = judged.reasons[0] if judged.reasons else ("runs", "")
    return {
        **_identity(judged),
        "cpu": profile,
        "verdict": "accept" if judged.taken else "reject",
        "code": code,
        "reason": reason,
        "signature": judged.offer.signature.state,
        "missing": list(judged.verdict.missing),
        "reasons": [{"code": code, "reason": text} for code, text in judged.reasons],
        "unmasks": sorted(judged.lifted),
    }


def _add_mask(parser: Parser) -> None:
    add_profile_option(parser)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write to this file instead of stdout")


def _mask_lines(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import binpkg_masks

    text = binpkg_masks.text(settings, require_known_profile(settings, args))
    if args.write is None:
        console.print_result(text.rstrip("\n"))
        return 0
    above = args.write.absolute().parent
    if above.name == "package.mask" and above.parent.is_dir():  # the host has no package.mask directory yet
        fs.ensure(above)
    fs.send(args.write, text)
    if not args.quiet:
        console.info(f"{binpkg_masks.count(text)} masks in {args.write}")
    return 0


def command() -> Command:
    """Return the command with its subcommands."""
    return group_commands(
        "binpkg",
        "list, explain, audit and mask binary packages",
        (
            Command("ls", "list binary packages and the profiles that can use them", _add_ls, _ls),
            Command("why", "explain why a binary package is or is not used", _add_why, _why),
            Command("audit", "report the instruction sets used by binaries", add_audit, audit),
            Command(
                "mask", "print package.mask lines for binary packages that a CPU cannot run", _add_mask, _mask_lines
            ),
        ),
    )


COMMAND = command()
