# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch plugins``: list plugins, their distributions and hooks."""

import argparse
import os

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    add_json_option(parser)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.plugins import listing as plugins_listing

    plugins = plugins_listing.members(settings.cache, without=Request.parse((), os.environ).without)
    if args.json:
        console.print_json(
            [
                {"name": plugin.name, "from": plugin.source, "hooks": plugin.hooks, "left_out": plugin.left_out}
                for plugin in plugins
            ]
        )
        return 0
    rows = [(plugin.name, plugin.source, " ".join(plugin.hooks) or console.bad(plugin.left_out)) for plugin in plugins]
    console.print_result(format_table(("name", "from", "hooks"), rows))
    return 0


COMMAND = Command("plugins", "list plugins with their distributions and hooks", _add, _work)
