# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch unmask``: show and change the ledger of a profile."""

import argparse
from pathlib import Path
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import (
    Parser,
    add_json_option,
    add_profile_option,
    group_commands,
    require_known_profile,
)
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UsageError, listed
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry


def not_unmasked(atom: str, profile: str, known: list[str]) -> UsageError:
    """The atom is not in the ledger (the list of what gm-emerge unmasked)."""
    return UsageError(
        f"{atom!r} is not in the ledger of profile {profile} {listed(known)}",
        code="not-unmasked",
        hint=f"gentoomuch unmask ls --profile {profile}",
    )


def _add_ls(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    profile = require_known_profile(settings, args)
    entries = ledger.read(settings.having(ledger.file_name(profile)), profile)
    if args.json:
        console.print_json([entry._asdict() for entry in entries])
    elif entries:
        rows = [
            (entry.atom, entry.kind, entry.value or "-", ", ".join(entry.required_by) or "-", entry.since)
            for entry in entries
        ]
        console.print_result(format_table(("atom", "kind", "value", "required by", "since"), rows))
    elif not args.quiet:
        console.info("the ledger is empty")
    return 0


def _add_atom(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)
    parser.add_argument("atom", metavar="ATOM", help="package, with or without a version")


def _matching(state: Path, profile: str, args: argparse.Namespace) -> tuple[Entry, ...]:
    entries = ledger.read(state, profile)
    names = {args.atom, args.atom.lstrip("=~<>")}
    matching = tuple(entry for entry in entries if names & _names(entry.atom))
    if not matching:
        raise not_unmasked(args.atom, profile, [entry.atom for entry in entries])
    return matching


def _names(atom: str) -> set[str]:
    """Return the names of an entry: the atom, ``cat/pkg-1.0``, ``pkg-1.0``, ``cat/pkg`` and ``pkg``."""
    from gentoomuch_portage.portage_adapter import atoms

    cpv, cp = atom.lstrip("=~<>").partition(":")[0], atoms.atom_key(atom)
    return {atom, cpv, cpv.partition("/")[2], cp, cp.partition("/")[2]}


def _why(settings: Settings, args: argparse.Namespace) -> int:
    profile = require_known_profile(settings, args)
    entries = _matching(settings.having(ledger.file_name(profile)), profile, args)
    if args.json:
        console.print_json([entry._asdict() for entry in entries])
        return 0
    for entry in entries:
        console.print_result(f"{console.heading(entry.line)}  {entry.kind}, since {entry.since}")
        console.print_result(f"    required by {', then '.join(entry.required_by) or 'the command line'}")
        if entry.reason:
            console.print_result(f"    masked because: {entry.reason}")
    return 0


def _drop(settings: Settings, args: argparse.Namespace) -> int:
    profile = require_known_profile(settings, args)
    entries = _matching(settings.state, profile, args)
    keys = {entry.key for entry in entries}
    ledger.change(settings.state, profile, lambda before: (entry for entry in before if entry.key not in keys))
    _print_rows(args, [{**entry._asdict(), "why": "dropped"} for entry in entries])
    return 0


def _add_prune(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)
    parser.add_argument("-p", "--pretend", action="store_true", help="only show the entries that would be removed")


def _prune(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge import prune_ledger
    from gentoomuch_portage.emerge.profile_view import load_view

    with load_view(settings, require_known_profile(settings, args)) as view:
        gone = list((prune_ledger.find_unneeded if args.pretend else prune_ledger.prune)(view.plan, settings))
    _print_rows(args, [{**dropped.entry._asdict(), "why": dropped.why} for dropped in gone])
    return 0


def _print_rows(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    if args.json:
        console.print_json(rows)
    elif rows:
        console.print_result(
            format_table(("atom", "kind", "value", "why"), [(r["atom"], r["kind"], r["value"], r["why"]) for r in rows])
        )
    elif not args.quiet:
        console.info("nothing to remove: all entries are needed")


def _add_adopt(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)
    parser.add_argument("--take", action="store_true", help="add needed entries to the ledger; FILE is never changed")
    parser.add_argument("file", metavar="FILE", type=Path, help="package.accept_keywords, .use, .license or .unmask")


def _adopt(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import load_view
    from gentoomuch_portage.reports import unmask_adopt

    with load_view(settings, require_known_profile(settings, args)) as view:
        findings = unmask_adopt.judge_file(args.file, view)
        if args.take:
            unmask_adopt.add_to_ledger(findings, view.plan, settings)
    if args.json:
        console.print_json(
            [
                {
                    **finding.entry._asdict(),
                    "file": str(finding.file),
                    "line": finding.line,
                    "needed": not finding.why,
                    "why": finding.why,
                }
                for finding in findings
            ]
        )
        return 0
    rows = [
        (
            _place(args.file, finding.file, finding.line),
            finding.entry.line,
            console.bad(finding.why) if finding.why else console.good("needed"),
        )
        for finding in findings
    ]
    console.print_result(format_table(("line", "entry", ""), rows))
    return 0


def _place(top: Path, file: Path, line: int) -> str:
    """Format a line number, with the file if a directory was given."""
    return str(line) if file == top else f"{file.relative_to(top)}:{line}"


COMMAND = group_commands(
    "unmask",
    "show, explain and remove entries of a profile's ledger",
    (
        Command("ls", "list the entries", _add_ls, _ls),
        Command("why", "explain entries: required by what, since when, masked why", _add_atom, _why),
        Command("prune", "remove entries that are no longer needed", _add_prune, _prune),
        Command("drop", "remove entries; the next run may unmask them again", _add_atom, _drop),
        Command("adopt", "check which entries of your own file are still needed", _add_adopt, _adopt),
    ),
)
