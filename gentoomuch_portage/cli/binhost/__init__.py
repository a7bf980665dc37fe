# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch binhost``: serve, sign, publish and use binary packages."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.binhost import check, client, publish, query, serve
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser, add_json_option, group_commands
from gentoomuch_portage.config.settings import Settings


def _folder(parser: Parser) -> None:
    parser.add_argument("folder", nargs="?", metavar="DIR", type=Path, help="directory of packages (default: PKGDIR)")


def _add_index(parser: Parser) -> None:
    add_json_option(parser)
    _folder(parser)
    text = "update only the entry of this package file; can be repeated"
    parser.add_argument("--package", metavar="FILE", type=Path, action="append", default=[], help=text)


def _index(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.binhost import reindex

    check.unpublished("index", args.folder)
    done = reindex.update_index(args.folder, args.package, partial(console.progress, "reading", quiet=args.quiet))
    if args.json:
        console.print_json(done._asdict())
    elif not args.quiet:
        console.info(
            done.complaints + f"{done.packages} packages in {done.folder}: {done.new} new, {done.gone} removed"
        )
    return 0


def _trust_own_key(command: Command) -> Command:
    """Return the command, with Portage trusting this machine's own signatures."""

    def work(settings: Settings, args: argparse.Namespace) -> int:
        from gentoomuch_portage.binhost import keys
        from gentoomuch_portage.portage_adapter.patching import environment

        with environment(keys.verify_variables(settings)):
            return command.work(settings, args)

    return replace(command, work=work)


_READING = (
    Command("index", "update the index of a directory of packages", _add_index, _index),
    *check.COMMANDS,
    *publish.COMMANDS,
    *query.COMMANDS,
)
COMMANDS: tuple[Command, ...] = (
    *map(_trust_own_key, _READING),
    *serve.COMMANDS,
    *client.COMMANDS,
    *client.LS_COMMANDS,
)
COMMAND = group_commands("binhost", "serve, sign, publish and use binary packages", COMMANDS)
