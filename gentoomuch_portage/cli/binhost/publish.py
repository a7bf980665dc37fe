"""``gentoomuch binhost publish``, ``rollback`` and ``diff``: generations of a published folder."""

import argparse
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console
from gentoomuch_portage.cli.binhost.check import unpublished
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.config.settings import Settings

if TYPE_CHECKING:
    from gentoomuch_portage.binhost.publish import Generation

_AGAIN = 3
"""Builders may replace a package between the look at the index and the look at the file."""


def _target(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="where generations are published")
    told = "seconds for which what is no longer in the index can be fetched (3600)"
    parser.add_argument("--grace", metavar="SECONDS", type=float, default=3600, help=told)
    listing(parser)


def _add_publish(parser: Parser) -> None:
    _target(parser)
    parser.add_argument("--from", dest="source", metavar="DIR", type=Path, help="packages; PKGDIR where left out")
    parser.add_argument("--keep", metavar="N", type=int, default=5, help="generations that stay (5)")
    parser.add_argument("--nginx", action="store_true", help="print the configuration of nginx, and do nothing else")
    parser.add_argument("--days", metavar="DAYS", type=float, default=0, help="younger generations stay as well (0)")


def _publish(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import object_store, publish, reindex
    from gentoomuch_portage.binhost.object_store import NotAsIndexed
    from gentoomuch_portage.portage_adapter.pkgdir import pkgdir

    top = args.folder.absolute()
    if args.nginx:
        console.say(object_store.configuration(top))
        return 0
    shelf = pkgdir(args.source)
    if not shelf.folder.is_dir():
        raise reindex.NoFolder(shelf.folder)
    if top.resolve().is_relative_to(shelf.folder.resolve()):
        raise BadUsage("gentoomuch binhost publish", f"{args.folder} lies in the folder of packages {shelf.folder}")
    unpublished("publish", args.source)
    finish = partial(_signed, settings)
    with publish.locked(top):
        first = publish.current(top) is None
        for left in reversed(range(_AGAIN)):
            reindex.bring_up_to_date(args.source, show=partial(console.progress, "reading", quiet=args.quiet))
            try:
                made = publish.publish(shelf.folder, top, grace=args.grace, finish=finish, lock=shelf.locked)
                break
            except NotAsIndexed:
                if not left:
                    raise
        gone = publish.retained(top, keep=max(1, args.keep), days=args.days, grace=args.grace)
    _tell(args, made, gone)
    if first and not args.json:
        console.say(object_store.configuration(top))
    return 0


def _signed(settings: Settings, tree: Path) -> None:
    """Sign the index of a tree, where this machine has a key of a binhost."""
    from gentoomuch_portage import gpg
    from gentoomuch_portage.binhost import keys

    if (key := keys.known(settings)) is not None:
        gpg.signed(key.home, key.fingerprint, tree / "Packages", tree / "Packages.asc")
        shutil.copyfile(key.public, tree / "key.asc")


def _add_rollback(parser: Parser) -> None:
    _target(parser)
    told = "what to show again; what was shown before where left out"
    parser.add_argument("generation", nargs="?", metavar="GENERATION", type=int, help=told)


def _rollback(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import publish

    top = args.folder.absolute()
    if not publish.numbers(top):
        raise publish.NoGeneration(top, args.generation, [])
    with publish.locked(top):
        made = publish.rollback(top, args.generation, grace=args.grace, finish=partial(_signed, settings))
    _tell(args, made, [])
    return 0


def _tell(args: argparse.Namespace, made: "Generation", gone: list[int]) -> None:
    if args.json:
        told = {"generation": made.number, "shows": made.shows, "packages": len(made.files), "kept": len(made.kept)}
        console.say_json({**told, "removed": gone})
    elif not args.quiet:
        shows = f", which shows generation {made.shows}" if made.shows != made.number else ""
        kept = f"; {len(made.kept)} more can be fetched for a while" if made.kept else ""
        removed = f"; removed: {', '.join(map(str, gone))}" if gone else ""
        console.tell(f"generation {made.number}{shows}: {len(made.files)} packages{kept}{removed}")


def _add_diff(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("folder", metavar="DIR", type=Path, help="where generations are published")
    parser.add_argument("one", metavar="A", type=int, help="a generation")
    parser.add_argument("other", metavar="B", type=int, help="another one")


def _diff(_settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import publish

    rows = publish.difference(args.folder.absolute(), args.one, args.other)
    if args.json:
        console.say_json(rows)
    elif rows:
        console.say(columns(("", "package"), [(row["change"], row["path"]) for row in rows]))
    elif not args.quiet:
        console.tell(f"generations {args.one} and {args.other} have the same packages")
    return 0


COMMANDS: tuple[Command, ...] = (
    Command("publish", "make what lies in PKGDIR the current generation of a folder", _add_publish, _publish),
    Command("rollback", "show again what an earlier generation shows", _add_rollback, _rollback),
    Command("diff", "list what came, went and changed from one generation to another", _add_diff, _diff),
)
