"""``gentoomuch binhost``: keep and publish the binary packages of many machines."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.binhost import check, client, publish, query, serve
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, group, listing
from gentoomuch_portage.config.settings import Settings


def _folder(parser: Parser) -> None:
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help="of packages; PKGDIR where left out")


def _add_index(parser: Parser) -> None:
    listing(parser)
    _folder(parser)
    told = "look at this package alone: new, changed or gone; may be given again"
    parser.add_argument("--package", metavar="FILE", type=Path, action="append", default=[], help=told)


def _index(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import reindex

    check.unpublished("index", args.folder)
    done = reindex.bring_up_to_date(args.folder, args.package, partial(console.progress, "reading", quiet=args.quiet))
    if args.json:
        console.say_json(done._asdict())
    elif not args.quiet:
        console.tell(done.complaints + f"{done.packages} packages in {done.folder}: {done.new} new, {done.gone} gone")
    return 0


def _trusting(one: Command) -> Command:
    """The same command, in which Portage takes the packages that this machine has signed for whole."""

    def work(settings: Settings, args: argparse.Namespace) -> int:
        from gentoomuch_portage.binhost import keys
        from gentoomuch_portage.portage_adapter.patching import environment

        with environment(keys.own(settings)):
            return one.work(settings, args)

    return replace(one, work=work)


_READING = (
    Command("index", "bring the index of a folder of packages up to date", _add_index, _index),
    *check.COMMANDS,
    *publish.COMMANDS,
    *query.COMMANDS,
)
COMMANDS: tuple[Command, ...] = (
    *map(_trusting, _READING),
    *serve.COMMANDS,
    *client.COMMANDS,
    *client.LS_COMMANDS,
)
COMMAND = group("binhost", "keep and publish the binary packages of many machines", COMMANDS)
