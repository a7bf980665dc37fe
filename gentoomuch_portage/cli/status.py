# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch status``: how the roots of profiles differ from what the profiles want."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_arguments, require_profiles
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.reports.status import Status


def _add(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_arguments(parser)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import status

    names = require_profiles(settings, args)
    statuses: list[Status] = []
    with console.progress("reading", len(names), quiet=args.quiet) as step:
        for each in status.load_statuses(settings, names):
            statuses.append(each)
            step(each.profile, 1)
    if args.json:
        console.print_json([status.as_data(each) for each in statuses])
    else:
        _print(statuses, quiet=args.quiet)
    return next((each.exit_status for each in statuses if each.error), int(any(each.pending for each in statuses)))


def _print(statuses: "list[Status]", *, quiet: bool) -> None:
    for each in statuses:
        rows = list(_rows(each))
        if each.error:
            console.warning(f"{each.profile}: {each.error}", each.hint)
        elif rows or not quiet:
            counts = console.faint(f"{each.root}: {each.wanted} wanted, {each.installed} installed")
            state = console.bad("pending") if each.pending else console.good("current")
            console.print_result(f"{console.heading(each.profile)}  {state}  {counts}")
        if rows:
            console.print_result(format_table(("state", "package", "details"), rows))


def _rows(each: "Status") -> Iterator[tuple[str, str, str]]:
    for missing in each.missing:
        sets = ", ".join(f"@{name}" for name in missing.sets)
        unmasks = f", unmasks: {', '.join(missing.unmasks)}" if missing.unmasks else ""
        yield console.bad("missing"), missing.atom, f"{sets}; {missing.best or 'no visible version'}{unmasks}"
    for atom, cpv in each.broken:
        yield console.bad("missing"), atom, f"dependency of {cpv}"
    for cpv in each.superfluous:
        yield console.bad("superfluous"), cpv, "neither wanted nor a dependency"
    for outdated in each.outdated:
        yield console.bad("out of date"), outdated.cpv, f"{outdated.newest}, versions behind: {outdated.behind}"
    for held in each.held:
        reasons = "; ".join(f"{mask.kind}: {mask.reason}" for mask in held.masks) or "no ebuild in any repository"
        instead = f", installed: {held.installed}" if held.installed not in {"", held.cpv} else ""
        yield "held back", held.cpv, f"{reasons}{instead}"
    for rejected in each.rejected:
        yield "rejected", rejected.binpkg, "; ".join(f"{code}: {reason}" for code, reason in rejected.reasons)


COMMAND = Command("status", "report packages that are missing, superfluous, out of date or held back", _add, _work)
