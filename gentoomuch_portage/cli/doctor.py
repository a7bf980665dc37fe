"""``gentoomuch doctor``: what this host can do, and what mends what it cannot."""

import argparse
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError

if TYPE_CHECKING:
    from gentoomuch_portage.reports import doctor


def _add(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("--clean", action="store_true", help="remove stale configroots and what killed runs left first")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.reports import doctor

    if args.clean:
        for gone in doctor.clean(settings):
            if not args.quiet:
                console.tell(f"removed {gone}")
    found = [
        *doctor.facts(settings, Request.of((), os.environ).without),
        *doctor.seen("hook", _hooks(settings)),
        *doctor.seen("plain emerge", _plain(settings)),
    ]
    if args.json:
        console.say_json([asdict(one) for one in found])
    else:
        for one in found:
            if one.state == "bad" or not args.quiet:
                console.say(_line(one))
    return int(any(one.state == "bad" for one in found))


def _hooks(settings: Settings) -> Iterator["doctor.Fact"]:
    """The hooks that plain emerge has, and what is wrong with them."""
    from gentoomuch_portage.portage_hooks import install
    from gentoomuch_portage.portage_hooks.catalog import ALL
    from gentoomuch_portage.reports.doctor import Fact

    places, names, well = install.here(settings), profile.names(settings), []
    for hook in ALL:
        try:
            why, remedy = install.ailing(settings, hook, places, names)
            if not why and install.state(settings, hook, places) == "enabled":
                well.append(hook.name)
        except GmError as error:
            why, remedy = error.message, error.remedy
        if why:
            yield Fact("hook", "bad", f"{hook.name}: {why}", remedy)
    if well:
        yield Fact("hook", "good", f"plain emerge has {', '.join(well)}")


def _plain(settings: Settings) -> Iterator["doctor.Fact"]:
    """What plain emerge does not know."""
    from gentoomuch_portage.portage_hooks import postsync
    from gentoomuch_portage.reports.doctor import Fact

    try:
        atoms = list(dict.fromkeys(one.atom for one in postsync.unknown(settings)))
    except GmError as error:
        yield Fact("plain emerge", "bad", error.message, error.remedy)
        return
    if atoms:
        more = f" and {len(atoms) - 1} more" if atoms[1:] else ""
        told = f"it would mask or rebuild {atoms[0]}{more}, which profiles have unmasked"
        yield Fact("plain emerge", "note", told, "gentoomuch hooks enable unmask")


def _line(fact: "doctor.Fact") -> str:
    """``good  portage        3.0.83, ...`` and the remedy below it."""
    colour = {"good": console.good, "bad": console.bad, "note": console.faint}[fact.state]
    remedy = f"\n{'':6}{'':15}try: {fact.remedy}" if fact.remedy else ""
    return f"{colour(f'{fact.state:4}')}  {fact.name:14} {fact.text}{remedy}"


COMMAND = Command("doctor", "tell what this host can do, with the command that mends what it cannot", _add, _work)
