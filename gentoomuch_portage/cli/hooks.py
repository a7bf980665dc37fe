# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch hooks``: enable and disable integrations for plain emerge."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage
from gentoomuch_portage.cli.output import format_table
from gentoomuch_portage.cli.parser import Parser, add_json_option, group_commands
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings

_NAMES = "filter, unmask, record, bashrc, refresh, snapshot or emaint"


def _ls(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    hooks = list(install.load_states(settings, install.find_places(settings)))
    if args.json:
        console.print_json(
            [
                {
                    "name": installed.hook.name,
                    "state": installed.state,
                    "files": list(installed.where),
                    "help": installed.hook.help,
                }
                for installed in hooks
            ]
        )
        return 0
    paint = {"enabled": console.good, "changed": console.bad, "taken": console.bad}
    rows = [
        (installed.hook.name, paint.get(installed.state, str)(installed.state), installed.hook.help)
        for installed in hooks
    ]
    console.print_result(format_table(("hook", "state", "description"), rows))
    return 0


def _add_enable(parser: Parser) -> None:
    _add_named(parser)
    parser.add_argument("--profile", metavar="NAME", help="profile of this machine, for the hooks record and refresh")


def _add_named(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("names", nargs="+", metavar="HOOK", help=_NAMES)


def _enable(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    hooks, places = [install.find_hook(name) for name in args.names], install.find_places(settings)
    profile = config_profile.read(settings, args.profile).name if args.profile else ""
    done = {hook.name: install.enable(settings, hook, places, command=_command(), profile=profile) for hook in hooks}
    return _print_files(args, done, "wrote")


def _disable(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    hooks = [install.find_hook(name) for name in args.names]
    return _print_files(args, {hook.name: install.disable(settings, hook) for hook in hooks}, "removed")


def _print_files(args: argparse.Namespace, done: dict[str, tuple[Path, ...]], what: str) -> int:
    if args.json:
        console.print_json([{"name": name, "files": list(files)} for name, files in done.items()])
    elif not args.quiet:
        for name, files in done.items():
            console.info(f"{name}: {what} {', '.join(map(str, files)) or 'nothing'}")
    return 0


def _add_text(parser: Parser) -> None:
    parser.add_argument("name", metavar="HOOK", help=_NAMES)
    parser.add_argument("--profile", metavar="NAME", help="profile of this machine")


def _text(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import install

    profile = config_profile.read(settings, args.profile).name if args.profile else ""
    console.print_result(install.text(install.find_hook(args.name), command=_command(), profile=profile).rstrip("\n"))
    return 0


def _command() -> Path:
    """Return the path of ``gentoomuch`` for hooks: the running program."""
    own = Path(sys.argv[0]).absolute()
    beside = Path(sys.executable).with_name("gentoomuch")
    program = own if own.name == "gentoomuch" else beside if beside.exists() else shutil.which("gentoomuch")
    return Path(program or "gentoomuch")


def _add_record(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="PORTAGE_BUILDDIR")
    parser.add_argument("profile", nargs="?", default="", metavar="NAME", help="profile that the package is built for")


def _record(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import record

    record.record(settings, args.folder, os.environ, args.profile)
    return 0


def _add_refresh(parser: Parser) -> None:
    add_json_option(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="profiles (default: all)")


def _refresh(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_hooks import postsync

    names = tuple(config_profile.read(settings, name).name for name in args.names) or config_profile.names(settings)
    lines = list(postsync.refresh(settings, names))
    if args.json:
        console.print_json(lines)
    elif not args.quiet:
        console.print_results(lines)
    return 0


def _add_query(parser: Parser) -> None:
    parser.add_argument("what", choices=("requires", "profile", "patches"), help="requires, profile or patches")
    parser.add_argument("cpv", metavar="CPV", help="installed package, with or without a version")


def _query(settings: Settings, args: argparse.Namespace) -> int:
    from gentoomuch_portage.portage_adapter import paths
    from gentoomuch_portage.portage_hooks import record
    from gentoomuch_portage.portage_hooks.install import NothingRecorded

    if recorded := record.read_record(args.what, args.cpv, record.vdb(paths.eprefix())):
        console.print_result(recorded)
        return 0
    try:
        every = record.read_records(args.what, args.cpv)
    except LookupError as error:
        raise bad_usage("gentoomuch hooks query", str(error)) from error
    if len(every) > 1:
        message = f"{args.cpv} is installed as {' and '.join(every)}"
        raise bad_usage("gentoomuch hooks query", message, hint=f"gentoomuch hooks query {args.what} {max(every)}")
    if not any(every.values()):
        raise NothingRecorded(args.what, args.cpv, installed=bool(every))
    console.print_results(every.values())
    return 0


COMMAND = group_commands(
    "hooks",
    "enable or disable integrations for plain emerge",
    (
        Command("ls", "list hooks and their state", add_json_option, _ls),
        Command("enable", "install the files of hooks; never overwrites your files", _add_enable, _enable),
        Command("disable", "remove the files that enable installed", _add_named, _disable),
        Command("text", "print the text of a hook, to include it in your own file", _add_text, _text),
        Command("query", "print what an installed package recorded at build time", _add_query, _query),
        Command("refresh", "rewrite masks and prune ledgers; used by the hook refresh", _add_refresh, _refresh),
        Command("record", "record the package being built; used by the hook record", _add_record, _record),
    ),
)
