# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch root snapshot``, ``rollback`` and ``history``: save a root, and return to a saved one."""

import argparse
import shlex

from gentoomuch_portage import console, history
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.history import format_time
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, add_profile_argument, require_profile
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings


def parse_generation(text: str) -> int:
    """Parse the number of a generation; argparse reports what is none."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a generation: 1, 2, ...")
    return int(text)


def _read(settings: Settings, name: str) -> config_profile.Profile:
    """Load a profile whose root can be saved.

    Raises:
        ConfigError[root-is-host]: its root is ``/``, which cannot be exchanged while the system runs.
    """
    from gentoomuch_portage.roots.errors import root_is_host

    profile = config_profile.read(settings, name)
    if not profile.foreign:
        raise root_is_host(profile.name, str(profile.file))
    return profile


def _snapshot(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.roots import snapshots
    from gentoomuch_portage.roots.errors import check_filled

    profile = _read(settings, require_profile(settings, args))
    check_filled(profile.root, profile.name)
    number = snapshots.save(profile.root, profile.name)
    if not args.quiet:
        console.info(f"saved {profile.root} as generation {number}")
    return 0


def _add_rollback(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="profile")
    text = "number of the snapshot (default: the newest)"
    parser.add_argument("generation", metavar="GENERATION", nargs="?", type=parse_generation, default=0, help=text)


def _rollback(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.roots import snapshots

    profile = _read(settings, args.name)
    snapshots.check_known(profile.root, profile.name, args.generation)
    arguments = ("root", "rollback", profile.name, *([str(args.generation)] if args.generation else []))
    with history.recording(settings.state, profile.name, arguments, "rollback") as record:
        chosen, former = snapshots.rollback(profile.root, profile.name, args.generation, profile.snapshots)
        record.status = 0
    if not args.quiet:
        console.info(f"{profile.root} is as in generation {chosen}")
        if former:
            undo = f"gentoomuch root rollback {profile.name} {former}"
            console.info(f"the former root is generation {former}; to undo the rollback: {undo}")
    return 0


def _add_history(parser: Parser) -> None:
    add_profile_argument(parser)
    add_json_option(parser)


def _history(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.roots import snapshots

    profile = _read(settings, require_profile(settings, args))
    listed = snapshots.generations(profile.root)
    if args.json:
        fields = ("generation", "at", "reason", "before")
        console.print_json([{name: getattr(generation, name) for name in fields} for generation in listed])
    elif listed:
        cells = [
            (str(generation.generation), format_time(generation.at), generation.reason, shlex.join(generation.before))
            for generation in listed
        ]
        console.print_result(format_table(("generation", "when", "reason", "before"), cells))
    elif not args.quiet:
        console.info(f"no snapshots of {profile.root}")
    return 0


def remove(settings: Settings, args: argparse.Namespace) -> int:
    """Remove a snapshot: ``root rm NAME --generation GENERATION``.

    Raises:
        RunError[no-snapshot]: it does not exist.
        UsageError[not-confirmed]: the user did not confirm it.
    """
    from gentoomuch_portage.roots import snapshots
    from gentoomuch_portage.roots.errors import not_confirmed

    profile = _read(settings, args.name)
    what = f"generation {args.generation} of {profile.root}"
    snapshots.check_known(profile.root, profile.name, args.generation)
    if not (args.yes or console.confirm(f"remove {what}?")):
        raise not_confirmed(what)
    snapshots.remove(profile.root, profile.name, args.generation)
    if not args.quiet:
        console.info(f"removed {what}")
    return 0


COMMANDS = (
    Command("snapshot", "save a root, for root rollback", add_profile_argument, _snapshot),
    Command("rollback", "return to a snapshot of a root; the former root is kept", _add_rollback, _rollback),
    Command("history", "list the snapshots of a root", _add_history, _history),
)
