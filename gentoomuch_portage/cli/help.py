# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch help`` and ``gentoomuch version``."""

import argparse

from gentoomuch_portage import console, version
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.parser import Parser
from gentoomuch_portage.config.settings import Settings


def _add_help(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="COMMAND", help="command, and command below it (default: all)")


def _help(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.cli.commands import run_command_line

    return run_command_line([*args.names, "--help"])


def _add_version(parser: Parser) -> None:
    """Add no arguments."""


def _version(settings: Settings, args: argparse.Namespace) -> int:
    console.print_result(f"gentoomuch-portage {version.describe()}")
    return 0


HELP = Command("help", "show help for a command", _add_help, _help)
VERSION = Command("version", "show the version", _add_version, _version)
