# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost query`` and ``coverage``: which packages a directory has, and for which profiles."""

import argparse
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_argument, require_profile
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.query import PackageRow
    from gentoomuch_portage.reports.coverage import Covered


def _add_query(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("atom", nargs="?", metavar="ATOM", default="", help="only matching packages (default: all)")
    parser.add_argument(
        "--dir", metavar="DIR", type=Path, help="directory of packages or generations (default: PKGDIR)"
    )
    text = "report whether packages run on this CPU; can be repeated"
    parser.add_argument("--cpu", metavar="CPU", action="append", default=[], help=text)
    parser.add_argument("--runs", action="store_true", help="only packages that run on one of these CPUs")
    text = "only packages with this flag; =-FLAG: without it; can be repeated"
    parser.add_argument("--use", metavar="FLAG", action="append", default=[], help=text)


def _query(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import publish, query, reindex
    from gentoomuch_portage.portage_adapter.atoms import atom_key
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    if args.atom and not atom_key(args.atom) and not re.fullmatch(r"[\w+][\w+-]*", args.atom):
        message = f"invalid atom {args.atom!r}: PACKAGE, CATEGORY/PACKAGE or =CATEGORY/PACKAGE-1.0-2 is required"
        raise bad_usage("gentoomuch binhost query", message).with_correction(args.atom)
    if args.runs and not args.cpu:
        error = bad_usage("gentoomuch binhost query", "--runs requires --cpu")
        raise error.with_correction("", "--cpu", "native")
    shelf = pkgdir(publish.published_view(args.dir))
    reindex.ensure_shards(shelf)
    packages = query.list_packages(shelf.folder, settings.cache, query=args.atom, cpus=args.cpu, use=args.use)
    rows = [package for package in packages if package.runs_on or not args.runs]
    if args.json:
        console.print_json([row._asdict() for row in rows])
        return 0
    cells = [(_identity(row), *(_mark(row, cpu) for cpu in args.cpu), row.built_for, " ".join(row.use)) for row in rows]
    if rows:
        console.print_result(format_table(("binary package", *args.cpu, "built for", "USE"), cells))
    elif not args.quiet:
        console.info("no matching packages")
    return 0


def _identity(held: "PackageRow") -> str:
    return f"{held.cpv}-{held.build_id}" if held.build_id else held.cpv


def _mark(held: "PackageRow", cpu: str) -> str:
    return console.good("runs") if cpu in held.runs_on else console.bad("no")


def _add_coverage(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_argument(parser)
    parser.add_argument("atoms", nargs="*", metavar="ATOM", help="sets and packages of the machine (default: @world)")
    parser.add_argument(
        "--align", action="store_true", help="propose USE flags and versions that would turn misses into hits"
    )


def _coverage(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.emerge.profile_view import environment, load_view
    from gentoomuch_portage.reports import coverage

    name = require_profile(settings, args)
    with load_view(settings, name) as view:
        environment(view)
        rows = coverage.compute_coverage(view, settings, args.atoms or ["@world"])
    hits = sum(bool(row.hit) for row in rows)
    advice = [row.advice for row in rows if row.advice]
    if args.json:
        summary = {"profile": name, "wanted": len(rows), "hits": hits, "packages": [_row(row) for row in rows]}
        console.print_json(summary | ({"align": [line._asdict() for line in advice]} if args.align else {}))
        return 0
    misses = [row for row in rows if not row.hit]
    if misses:
        console.print_result(
            format_table(("miss", "why", ""), [(miss.cpv, console.bad(miss.code), miss.reason) for miss in misses])
        )
    counted = ", ".join(f"{count} {code}" for code, count in Counter(miss.code for miss in misses).most_common())
    console.print_result(
        f"{hits} of {len(rows)} packages are available as binaries" + (f"; misses: {counted}" if misses else "")
    )
    for line in advice if args.align else ():
        console.print_result(f"{line.file}: {line.line}    # takes {line.cpv}")
    return 0


def _row(covered: "Covered") -> dict[str, str]:
    return {"cpv": covered.cpv, "hit": covered.hit, "code": covered.code, "reason": covered.reason}


COMMANDS: tuple[Command, ...] = (
    Command("query", "list packages in a directory with CPUs and USE flags", _add_query, _query),
    Command(
        "coverage", "report which packages of a profile are available, and why others are not", _add_coverage, _coverage
    ),
)
