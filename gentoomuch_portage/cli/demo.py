"""``gentoomuch demo [DIR]``: a Gentoo host in a folder to play with."""

import argparse
from pathlib import Path

from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("gentoomuch-demo"), metavar="DIR",
        help="an empty folder, or one that is not there; ./gentoomuch-demo where left out",
    )  # fmt: skip


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.demo_host import demo

    return demo.tell(args.folder.absolute(), quiet=args.quiet)


COMMAND = Command("demo", "make a Gentoo host in a folder, with two profiles, and build for both", _add, _work)
