# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch demo``: create a Gentoo host in a directory to try things out."""

import argparse
from pathlib import Path

from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("gentoomuch-demo"), metavar="DIR",
        help="empty or new directory (default: ./gentoomuch-demo)",
    )  # fmt: skip


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.demo_host import demo

    return demo.run_demo(args.folder.absolute(), quiet=args.quiet)


COMMAND = Command("demo", "create a demo host with two profiles in a directory, and build for both", _add, _work)
