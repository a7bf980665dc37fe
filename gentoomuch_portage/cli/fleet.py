# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch fleet``: an overview of all profiles."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.history import format_time
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import (
    Parser,
    add_json_option,
    add_profile_arguments,
    check_single_stdout,
    require_profiles,
)
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.reports import fleet


def _add(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write a self-contained HTML page with charts; - is stdout"
    )
    add_profile_arguments(parser)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import fleet

    check_single_stdout("gentoomuch fleet", args.html, args)
    names = require_profiles(settings, args)
    members: list[fleet.Member] = []
    with console.progress("reading", len(names), quiet=args.quiet) as step:
        for member in fleet.load_members(settings, names):
            members.append(member)
            step(member.profile, 1)
    if args.html:
        _write(args.html, members, quiet=args.quiet or args.json)
    if args.json:
        console.print_json([fleet.as_data(member) for member in members])
    elif not args.html:
        console.print_result(format_table(_HEADS, [_cells(member) for member in members]))
    for member in members:
        if member.error and not args.json:
            console.warning(f"{member.profile}: {member.error}", member.hint)
    return int(any(member.error for member in members))


def _write(file: Path, members: "list[fleet.Member]", *, quiet: bool) -> None:
    from gentoomuch_portage.reports import fleet_html

    fs.send(file, fleet_html.format_page(members, time.time()))
    if not quiet and not fs.is_stream(file):
        console.info(f"wrote {file}: {len(members)} profiles")


_HEADS = (
    "profile",
    "cpu",
    "root",
    "installed",
    "missing",
    "out of date",
    "behind",
    "GLSA",
    "rejected",
    "unmasked",
    "hit rate",
    "last merge",
)


def _cells(member: "fleet.Member") -> tuple[str, ...]:
    if member.error:
        return (member.profile, console.bad("invalid"), *("-" for _ in _HEADS[2:]))
    hits = "-" if member.hit_rate is None else f"{member.hit_rate:.0%}"
    return (
        member.profile,
        member.cpu.removeprefix("-march=") or "-",
        member.root,
        str(member.installed),
        _mark(len(member.missing)),
        _mark(len(member.outdated)),
        str(member.behind),
        _mark(len(member.advisories)),
        f"{member.rejected} of {member.binpkgs_available}",
        str(member.unmasked),
        hits,
        format_time(member.last) if member.last else "never",
    )


def _mark(count: int) -> str:
    return console.bad(str(count)) if count else console.good("0")


COMMAND = Command("fleet", "show an overview of all profiles", _add, _work)
