"""``gentoomuch plugins``: who is here, from where, and which hooks."""

import argparse
import os

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    listing(parser)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.plugins import manager

    found = manager.members(settings.cache, without=Request.of((), os.environ).without)
    if args.json:
        console.say_json(
            [{"name": one.name, "from": one.source, "hooks": one.hooks, "left_out": one.left_out} for one in found]
        )
        return 0
    rows = [(one.name, one.source, " ".join(one.hooks) or console.bad(one.left_out)) for one in found]
    console.say(columns(("name", "from", "hooks"), rows))
    return 0


COMMAND = Command("plugins", "list the plugins: from where, and which hooks they answer", _add, _work)
