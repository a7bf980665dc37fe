# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost publish``, ``rollback`` and ``diff``: generations of a published folder."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.binhost.check import unpublished
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.publish import Generation


def _target(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="directory of the generations")
    text = "seconds to keep packages that left the index (default: 3600)"
    parser.add_argument("--grace", metavar="SECONDS", type=float, default=3600, help=text)
    add_json_option(parser)


def _add_publish(parser: Parser) -> None:
    _target(parser)
    parser.add_argument(
        "--from", dest="source", metavar="DIR", type=Path, help="directory of packages (default: PKGDIR)"
    )
    parser.add_argument("--keep", metavar="N", type=int, default=5, help="number of generations to keep (default: 5)")
    refresh = "re-sign an unchanged index after this many days (default: 1)"
    parser.add_argument("--refresh", metavar="DAYS", type=float, default=1, help=refresh)
    parser.add_argument("--nginx", action="store_true", help="only print a configuration for nginx")
    parser.add_argument(
        "--days", metavar="DAYS", type=float, default=0, help="also keep generations younger than this (default: 0)"
    )


def _publish(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import object_store, packages, publish, reindex
    from gentoomuch_portage.binhost.packages import Retention
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    top = args.folder.absolute()
    if args.nginx:
        console.print_result(object_store.nginx_config(top))
        return 0
    shelf = pkgdir(args.source)
    if not shelf.folder.is_dir():
        raise reindex.no_package_folder(shelf.folder)
    if top.resolve().is_relative_to(shelf.folder.resolve()):
        raise bad_usage(
            "gentoomuch binhost publish", f"{args.folder} is inside the directory of packages {shelf.folder}"
        )
    unpublished("publish", args.source)
    first = publish.current_generation(top) is None
    made, gone = packages.publish_packages(
        settings,
        args.source,
        top,
        retention=Retention(grace=args.grace, keep=args.keep, days=args.days),
        refresh=args.refresh,
        show=partial(console.progress, "reading", quiet=args.quiet),
    )
    _print_summary(args, made, gone)
    if first and not args.json:
        console.print_result(object_store.nginx_config(top))
    return 0


def _add_rollback(parser: Parser) -> None:
    _target(parser)
    text = "generation to switch to (default: the previous one)"
    parser.add_argument("generation", nargs="?", metavar="GENERATION", type=int, help=text)


def _rollback(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import packages, publish

    top = args.folder.absolute()
    if not publish.list_generations(top):
        raise publish.no_generation(top, args.generation, [])
    with publish.locked(top):
        made = publish.rollback(top, args.generation, grace=args.grace, finish=partial(packages.sign_index, settings))
    _print_summary(args, made, [])
    return 0


def _print_summary(args: argparse.Namespace, made: "Generation", gone: list[int]) -> None:
    if args.json:
        summary = {
            "generation": made.number,
            "content_of": made.shows,
            "packages": len(made.files),
            "expiring": len(made.kept),
        }
        console.print_json({**summary, "removed": gone})
    elif not args.quiet:
        shows = f", with the content of generation {made.shows}" if made.shows != made.number else ""
        kept = f"; {len(made.kept)} removed packages can still be downloaded" if made.kept else ""
        removed = f"; removed: {', '.join(map(str, gone))}" if gone else ""
        console.info(f"generation {made.number}{shows}: {len(made.files)} packages{kept}{removed}")


def _add_diff(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("folder", metavar="DIR", type=Path, help="directory of the generations")
    parser.add_argument("one", metavar="A", type=int, help="first generation")
    parser.add_argument("other", metavar="B", type=int, help="second generation")


def _diff(_settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import publish

    rows = publish.compare_generations(args.folder.absolute(), args.one, args.other)
    if args.json:
        console.print_json(rows)
    elif rows:
        console.print_result(format_table(("", "package"), [(row["change"], row["path"]) for row in rows]))
    elif not args.quiet:
        console.info(f"generations {args.one} and {args.other} are identical")
    return 0


COMMANDS: tuple[Command, ...] = (
    Command("publish", "publish PKGDIR as a new generation", _add_publish, _publish),
    Command("rollback", "switch back to an earlier generation", _add_rollback, _rollback),
    Command("diff", "list packages added, removed and changed between two generations", _add_diff, _diff),
)
