"""``gentoomuch fleet``: all profiles at a glance."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import NoProfileSet
from gentoomuch_portage.cli.history import when
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, listing, one_stdout
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UnknownProfile

if TYPE_CHECKING:
    from gentoomuch_portage.reports import fleet


def _add(parser: Parser) -> None:
    listing(parser)
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write one page with charts that needs nothing else; - is stdout"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="these profiles; all where left out")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.reports import fleet

    one_stdout("gentoomuch fleet", args.html, args)
    known = profile.names(settings)
    names = tuple(args.names) or tuple(known)
    if not names:
        raise NoProfileSet(names)
    if unknown := [one for one in names if one not in known]:
        raise UnknownProfile(unknown[0], known)
    found: list[fleet.Member] = []
    with console.progress("looking at", len(names), quiet=args.quiet) as step:
        for one in fleet.members(settings, names):
            found.append(one)
            step(one.profile, 1)
    if args.html:
        _write(args.html, found, quiet=args.quiet or args.json)
    if args.json:
        console.say_json([fleet.data(one) for one in found])
    elif not args.html:
        console.say(columns(_HEADS, [_cells(one) for one in found]))
    for one in found:
        if one.error and not args.json:
            console.warn(f"{one.profile}: {one.error}")
    return int(any(one.error for one in found))


def _write(file: Path, found: "list[fleet.Member]", *, quiet: bool) -> None:
    from gentoomuch_portage.reports import fleet_html

    fs.send(file, fleet_html.page(found, time.time()))
    if not quiet:
        console.tell(f"{len(found)} profiles in {file}")


_HEADS = (
    "profile",
    "cpu",
    "root",
    "installed",
    "out of date",
    "behind",
    "refused",
    "unmasked",
    "hit rate",
    "last merge",
)


def _cells(one: "fleet.Member") -> tuple[str, ...]:
    if one.error:
        return (one.profile, console.bad("cannot be composed"), *("-" for _ in _HEADS[2:]))
    hits = "-" if one.hit_rate is None else f"{one.hit_rate:.0%}"
    old = str(len(one.outdated))
    return (
        one.profile,
        one.cpu.removeprefix("-march=") or "-",
        one.root,
        str(one.installed),
        console.bad(old) if one.outdated else console.good(old),
        str(one.behind),
        f"{one.refused} of {one.offered}",
        str(one.unmasked),
        hits,
        when(one.last) if one.last else "never",
    )


COMMAND = Command("fleet", "say what each profile has, and how far it is behind", _add, _work)
