# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch doctor``: check this host, and print the commands that fix problems."""

import argparse
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, add_json_option
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError

if TYPE_CHECKING:
    from gentoomuch_portage.reports import doctor


def _add(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("--clean", action="store_true", help="first remove unused configroots and files of killed runs")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.reports import doctor

    if args.clean:
        for gone in doctor.clean(settings):
            if not args.quiet:
                console.info(f"removed {gone}")
    facts = [
        *doctor.collect_facts(settings, Request.parse((), os.environ).without),
        *doctor.report_errors("hook", _hooks(settings)),
        *doctor.report_errors("plain emerge", _plain(settings)),
    ]
    if args.json:
        console.print_json([asdict(fact) for fact in facts])
    else:
        for fact in facts:
            listed = not args.quiet and (fact.name, fact.state) != (doctor.CAPABILITY, "good")  # there are many
            if fact.state == "bad" or listed:
                console.print_result(_line(fact))
    return int(any(fact.state == "bad" for fact in facts))


def _hooks(settings: Settings) -> Iterator["doctor.Fact"]:
    """Check the enabled hooks for plain emerge."""
    from gentoomuch_portage.portage_hooks import install
    from gentoomuch_portage.portage_hooks.catalog import ALL
    from gentoomuch_portage.reports.doctor import Fact

    places, names, well = install.find_places(settings), profile.names(settings), []
    for hook in ALL:
        try:
            why, hint = install.find_problem(settings, hook, places, names)
            if not why and install.state(settings, hook, places) == "enabled":
                well.append(hook.name)
        except GmError as error:
            why, hint = error.message, error.hint
        if why:
            yield Fact("hook", "bad", f"{hook.name}: {why}", hint)
    if well:
        yield Fact("hook", "good", f"enabled: {', '.join(well)}")


def _plain(settings: Settings) -> Iterator["doctor.Fact"]:
    """Check for unmasked packages that plain emerge would mask."""
    from gentoomuch_portage.portage_hooks import postsync
    from gentoomuch_portage.reports.doctor import Fact

    try:
        atoms = list(dict.fromkeys(entry.atom for entry in postsync.find_unknown(settings)))
    except GmError as error:
        yield Fact("plain emerge", "bad", error.message, error.hint)
        return
    if atoms:
        more = f" and {len(atoms) - 1} more" if atoms[1:] else ""
        text = f"plain emerge would mask or rebuild {atoms[0]}{more}, which profiles have unmasked"
        yield Fact("plain emerge", "note", text, "gentoomuch hooks enable unmask")


def _line(fact: "doctor.Fact") -> str:
    """Format a fact as ``good  portage        3.0.83, ...``, with its hint below."""
    colour = {"good": console.good, "bad": console.bad, "note": console.faint}[fact.state]
    hint = f"\n{'':6}{'':15}hint: {fact.hint}" if fact.hint else ""
    return f"{colour(f'{fact.state:4}')}  {fact.name:14} {fact.text}{hint}"


COMMAND = Command("doctor", "check this host, and print commands that fix problems", _add, _work)
