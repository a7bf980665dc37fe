"""``gentoomuch plugins``: who is here, from where, and which hooks."""

import argparse
import os

from gentoomuch_portage import console
from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.columns import columns
from gentoomuch_portage.cli.parser import Parser, listing
from gentoomuch_portage.settings import Settings


def _add(parser: Parser) -> None:
    listing(parser)


def _work(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage import roster
    from gentoomuch_portage.request import Request

    found = roster.members(settings.cache, without=Request.of((), os.environ).without)
    if args.json:
        console.say_json(
            [{"name": one.name, "from": one.source, "hooks": one.hooks, "left_out": one.left_out} for one in found]
        )
        return 0
    rows = [(one.name, one.source, " ".join(one.hooks) or console.bad(one.left_out)) for one in found]
    console.say(columns(("name", "from", "hooks"), rows))
    return 0


COMMAND = Command("plugins", "list the plugins: from where, and which hooks they answer", _add, _work)
