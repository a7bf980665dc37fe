"""``gentoomuch hooks``: what plain emerge can have, switched on and off one by one."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.cli.output import columns
from gentoomuch_portage.cli.parser import Parser, group, listing
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings

_NAMES = "filter, unmask, record, bashrc, refresh, snapshot or emaint"


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    found = list(install.standing(settings, install.here(settings)))
    if args.json:
        console.say_json(
            [
                {"name": one.hook.name, "state": one.state, "files": list(one.where), "help": one.hook.help}
                for one in found
            ]
        )
        return 0
    paint = {"enabled": console.good, "changed": console.bad, "taken": console.bad}
    rows = [(one.hook.name, paint.get(one.state, str)(one.state), one.hook.help) for one in found]
    console.say(columns(("hook", "state", "what it does"), rows))
    return 0


def _add_enable(parser: Parser) -> None:
    _add_named(parser)
    parser.add_argument("--profile", metavar="NAME", help="the profile that this machine is: recorded, and refreshed")


def _add_named(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("names", nargs="+", metavar="HOOK", help=_NAMES)


def _enable(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    hooks, places = [install.named(name) for name in args.names], install.here(settings)
    profile = config_profile.read(settings, args.profile).name if args.profile else ""
    done = {hook.name: install.enable(settings, hook, places, command=_command(), profile=profile) for hook in hooks}
    return _told(args, done, "wrote")


def _disable(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    hooks = [install.named(name) for name in args.names]
    return _told(args, {hook.name: install.disable(settings, hook) for hook in hooks}, "removed")


def _told(args: argparse.Namespace, done: dict[str, tuple[Path, ...]], what: str) -> int:
    if args.json:
        console.say_json([{"name": name, "files": list(files)} for name, files in done.items()])
    elif not args.quiet:
        for name, files in done.items():
            console.tell(f"{name}: {what} {', '.join(map(str, files)) or 'nothing'}")
    return 0


def _add_text(parser: Parser) -> None:
    parser.add_argument("name", metavar="HOOK", help=_NAMES)
    parser.add_argument("--profile", metavar="NAME", help="the profile that this machine is")


def _text(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    profile = config_profile.read(settings, args.profile).name if args.profile else ""
    console.say(install.text(install.named(args.name), command=_command(), profile=profile).rstrip("\n"))
    return 0


def _command() -> Path:
    """The program ``gentoomuch`` that hooks are to start: the one that runs."""
    own = Path(sys.argv[0]).absolute()
    beside = Path(sys.executable).with_name("gentoomuch")
    found = own if own.name == "gentoomuch" else beside if beside.exists() else shutil.which("gentoomuch")
    return Path(found or "gentoomuch")


def _add_record(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="PORTAGE_BUILDDIR")
    parser.add_argument("profile", nargs="?", default="", metavar="NAME", help="the profile that it is built for")


def _record(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import record

    record.record(settings, args.folder, os.environ, args.profile)
    return 0


def _add_refresh(parser: Parser) -> None:
    listing(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="profiles; all of them where left out")


def _refresh(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import postsync

    names = tuple(config_profile.read(settings, name).name for name in args.names) or config_profile.names(settings)
    told = list(postsync.refresh(settings, names))
    if args.json:
        console.say_json(told)
    elif not args.quiet:
        console.say_each(told)
    return 0


def _add_query(parser: Parser) -> None:
    parser.add_argument("what", choices=("requires", "profile", "patches"), help="requires, profile or patches")
    parser.add_argument("cpv", metavar="CPV", help="an installed package, with or without version")


def _query(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import emerge
    from gentoomuch_portage.portage_hooks import record
    from gentoomuch_portage.portage_hooks.install import NothingRecorded

    if found := record.recorded(args.what, args.cpv, record.vdb(emerge.eprefix())):
        console.say(found)
        return 0
    try:
        every = record.meant(args.what, args.cpv)
    except LookupError as error:
        raise BadUsage("gentoomuch hooks query", str(error)) from error
    if len(every) > 1:
        told = f"{args.cpv} is installed as {' and '.join(every)}"
        raise BadUsage("gentoomuch hooks query", told, remedy=f"gentoomuch hooks query {args.what} {max(every)}")
    if not any(every.values()):
        raise NothingRecorded(args.what, args.cpv, installed=bool(every))
    console.say_each(every.values())
    return 0


COMMAND = group(
    "hooks",
    "what plain emerge can have of gentoomuch, switched on and off one by one",
    (
        Command("ls", "list the hooks, and which are enabled", listing, _ls),
        Command("enable", "write the files of hooks; none of yours is overwritten", _add_enable, _enable),
        Command("disable", "remove what enable wrote, and nothing else", _add_named, _disable),
        Command("text", "print what a hook says, to put it into a file of yours", _add_text, _text),
        Command("query", "print what an installed package recorded when it was built", _add_query, _query),
        Command("refresh", "write masks again and prune ledgers: what the hook refresh does", _add_refresh, _refresh),
        Command("record", "record a package that is being built: what the hook record does", _add_record, _record),
    ),
)
