# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch config``: all keys, with their values and where they are set."""

import argparse
import os

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import unknown_key
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_option, find_profile
from gentoomuch_portage.config import origins, schema
from gentoomuch_portage.config.origins import Value
from gentoomuch_portage.config.settings import Settings


def _add(parser: Parser) -> None:
    add_json_option(parser)
    add_profile_option(parser)
    parser.add_argument("key", nargs="?", metavar="KEY", help="key or table: cpu, binpkg.use, binpkg (default: all)")


def _work(settings: Settings, args: argparse.Namespace) -> int:
    profile = find_profile(settings, args.profile)
    values = [*origins.values(settings, profile), *_find_own(settings, args)]
    if args.key:
        known = [value.key for value in values]
        values = [value for value in values if value.key == args.key or value.key.startswith(f"{args.key}.")]
        if not values and args.key not in schema.GENTOOMUCH:
            raise unknown_key(args.key, known, "gentoomuch config {}")
    if args.json:
        by_key = {value.key: {"value": value.value, "where": value.where} for value in values}
        console.print_json({"profile": profile or None, "values": by_key})
        return 0
    if not args.quiet:
        console.info(
            f"profile: {profile}" if profile else "no profile is active; keys of a profile have their defaults"
        )
    rows = [(value.key, schema.toml_value(value.value), value.where) for value in values]
    console.print_result(format_table(("key", "value", "set in"), rows))
    return 0


def _find_own(settings: Settings, args: argparse.Namespace) -> list[Value]:
    """Return the keys of ``gentoomuch.toml`` that no profile has; options and variables override the file."""
    variables = {"paths.state": (args.state, "GM_STATE"), "paths.cache": (args.cache, "GM_CACHE")}
    variables["strict"] = ("", "GM_STRICT")
    in_effect = {"paths.state": str(settings.state), "paths.cache": str(settings.cache), "strict": settings.strict}
    values = []
    for value in origins.own_values(settings):
        option, variable = variables.get(value.key, ("", ""))
        where = f"--{value.key.rpartition('.')[2]}" if option else variable if os.environ.get(variable) else value.where
        values.append(Value(value.key, in_effect.get(value.key, value.value), where))
    return values


COMMAND = Command("config", "show each key, its value and where it is set", _add, _work)
