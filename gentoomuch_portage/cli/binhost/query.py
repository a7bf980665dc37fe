"""``gentoomuch binhost query`` and ``coverage``: what a store has, and for whom."""

import argparse
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, chosen, listing, named
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.query import Held
    from gentoomuch_portage.reports.coverage import Covered


def _add_query(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("atom", nargs="?", metavar="ATOM", default="", help="only what matches; all where left out")
    parser.add_argument("--dir", metavar="DIR", type=Path, help="of packages, or published; PKGDIR where left out")
    told = "say whether packages run on this CPU; may be given again"
    parser.add_argument("--cpu", metavar="CPU", action="append", default=[], help=told)
    parser.add_argument("--runs", action="store_true", help="only those that run on one of the CPUs")
    told = "only those with this flag, or =-FLAG without it; may be given again"
    parser.add_argument("--use", metavar="FLAG", action="append", default=[], help=told)


def _query(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import publish, query, reindex
    from gentoomuch_portage.portage_adapter.config import atom_key
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    if args.atom and not atom_key(args.atom) and not re.fullmatch(r"[\w+][\w+-]*", args.atom):
        told = f"{args.atom!r} is no atom"
        raise BadUsage("gentoomuch binhost query", told, remedy="PACKAGE, CATEGORY/PACKAGE or =CATEGORY/PACKAGE-1.0-2")
    if args.runs and not args.cpu:
        raise BadUsage(
            "gentoomuch binhost query", "--runs is of the CPUs of --cpu", remedy="--cpu CPU, or --cpu native"
        )
    shelf = pkgdir(publish.shown(args.dir))
    reindex.followed(shelf)
    found = query.held(shelf.folder, settings.cache, asked=args.atom, cpus=args.cpu, use=args.use)
    rows = [one for one in found if one.runs_on or not args.runs]
    if args.json:
        console.say_json([one._asdict() for one in rows])
        return 0
    cells = [(_identity(one), *(_mark(one, cpu) for cpu in args.cpu), one.built_for, " ".join(one.use)) for one in rows]
    if rows:
        console.say(columns(("binary package", *args.cpu, "built for", "USE"), cells))
    elif not args.quiet:
        console.tell("no package matches")
    return 0


def _identity(one: "Held") -> str:
    return f"{one.cpv}-{one.build_id}" if one.build_id else one.cpv


def _mark(one: "Held", cpu: str) -> str:
    return console.good("runs") if cpu in one.runs_on else console.bad("no")


def _add_coverage(parser: Parser) -> None:
    listing(parser)
    named(parser)
    parser.add_argument("atoms", nargs="*", metavar="ATOM", help="what the machine is to have; @world where left out")
    parser.add_argument("--align", action="store_true", help="propose USE and versions that would make hits of misses")


def _coverage(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import environment, looked_at
    from gentoomuch_portage.reports import coverage

    name = chosen(settings, args)
    with looked_at(settings, name) as view:
        environment(view)
        rows = coverage.coverage(view.plan, settings, args.atoms or ["@world"])
    hits = sum(bool(one.hit) for one in rows)
    advice = [one.advice for one in rows if one.advice]
    if args.json:
        told = {"profile": name, "wanted": len(rows), "hits": hits, "packages": [_row(one) for one in rows]}
        console.say_json(told | ({"align": [one._asdict() for one in advice]} if args.align else {}))
        return 0
    misses = [one for one in rows if not one.hit]
    if misses:
        console.say(columns(("miss", "why", ""), [(one.cpv, console.bad(one.code), one.reason) for one in misses]))
    counted = ", ".join(f"{count} {code}" for code, count in Counter(one.code for one in misses).most_common())
    console.say(
        f"{hits} of {len(rows)} packages would be taken as they are" + (f"; misses: {counted}" if misses else "")
    )
    for one in advice if args.align else ():
        console.say(f"{one.file}: {one.line}    # takes {one.cpv}")
    return 0


def _row(one: "Covered") -> dict[str, str]:
    return {"cpv": one.cpv, "hit": one.hit, "code": one.code, "reason": one.reason}


COMMANDS: tuple[Command, ...] = (
    Command("query", "list what a folder of packages has: for which CPUs, with which USE", _add_query, _query),
    Command("coverage", "say how much of what a profile wants is there, and why not all", _add_coverage, _coverage),
)
