"""The command line: general options everywhere, commands in commands, and usage errors as errors of ours."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from snakeoil.cli import arghparse

from gentoomuch_portage import __version__
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage, NoProfileSet, UnknownCommand
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import UnknownProfile

GENERAL = "general options"
"""The group of what every command takes."""


class Parser(arghparse.ArgumentParser):  # type: ignore[misc]
    """snakeoil's parser with our general options; they may stand before the command and behind it."""

    is_command = False
    """Whether no further command follows its own name."""

    def __init__(self, *, helps: bool = True, **named: Any) -> None:
        super().__init__(suppress=True, debug=False, verbose=False, allow_abbrev=False, **named)
        general = self.add_argument_group(GENERAL)
        if helps:
            general.add_argument("-h", "--help", action="help", help="show this help and exit")
            version = f"gentoomuch-portage {__version__}"
            general.add_argument("--version", action="version", version=version, help="show the version and exit")
        general.add_argument("--config", metavar="DIR", help="configuration instead of /etc/gentoomuch")
        general.add_argument("--state", metavar="DIR", help="state instead of /var/lib/gentoomuch")
        general.add_argument("--cache", metavar="DIR", help="cache instead of /var/cache/gentoomuch")
        general.add_argument("-q", "--quiet", action="store_true", help="be silent but for errors")
        general.add_argument(
            "--color", action=arghparse.StoreBool, help="colours, y or n; left out: as the terminal has them"
        )

    def parse_known_args(self, args: Any, namespace: Any) -> Any:
        """Argparse's own: what a command does not know is answered with the help of that command."""
        found, rest = super().parse_known_args(args, namespace)
        if rest and self.is_command:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def error(self, message: str, status: int = 64) -> NoReturn:
        """Argparse's way to say that the command line is wrong.

        Raises:
            BadUsage: always.
        """
        raise BadUsage(self.prog, message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Argparse's own hook, so that an unknown command is answered with the nearest one."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            raise UnknownCommand(self.prog, value, action.choices)
        super()._check_value(action, value)


def first(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The general options of a command line, and the other words in their order, the command first.

    Raises:
        BadUsage: a general option is wrong.
    """
    found, rest = Parser(prog="gentoomuch", helps=False).parse_known_args(argv, None)
    return found, list(rest)


def build(commands: Iterable[Command]) -> Parser:
    """The parser of the whole command."""
    parser = Parser(
        prog="gentoomuch", description="Keep the profiles of your Gentoo machines; build for one: gm-emerge."
    )
    _join(parser, commands, "command")
    return parser


def group(name: str, help_: str, commands: Iterable[Command]) -> Command:
    """One command out of several: ``gentoomuch NAME COMMAND``."""
    commands = tuple(commands)
    at = f"{name}_command"

    def add(parser: Parser) -> None:
        _join(parser, commands, at)

    def work(settings: Settings, args: argparse.Namespace) -> int:
        asked = getattr(args, at)
        return next(one for one in commands if one.name == asked).work(settings, args)

    return Command(name, help_, add, work)


def _join(parser: Parser, commands: Iterable[Command], at: str) -> None:
    below = parser.add_subparsers(dest=at, title="commands", metavar="COMMAND")
    for command in commands:
        told = f"{command.help[:1].upper()}{command.help[1:]}."
        made = below.add_parser(command.name, help=command.help, description=told)
        command.add(made)
        made.is_command = not made._subparsers


def listing(parser: Parser) -> None:
    """Let a command that lists answer scripts."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def one_stdout(prog: str, file: Path | None, args: argparse.Namespace) -> None:
    """See to it that ``--json`` has the standard output alone.

    Raises:
        BadUsage: a file is to be written there, too.
    """
    from gentoomuch_portage.fs import STDIO

    if args.json and file == STDIO:
        raise BadUsage(prog, "- and --json are both the standard output")


def named(parser: Parser) -> None:
    """Let a command take the name of a profile."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the profile; the one that is set where left out")


def chosen(settings: Settings, args: argparse.Namespace) -> str:
    """The profile that a command is about.

    Raises:
        NoProfileSet: none is named, here or by GM_PROFILE, and none is set.
    """
    from gentoomuch_portage.config import profile

    name = in_force(settings, args.name)
    if not name:
        raise NoProfileSet(profile.names(settings))
    return name


def in_force(settings: Settings, named: str | None) -> str:
    """The profile that is named on the command line, by GM_PROFILE, or set; empty where none is."""
    return named or os.environ.get("GM_PROFILE") or settings.chosen


def profiled(parser: Parser) -> None:
    """Let a command that names something else take a profile by option."""
    parser.add_argument("--profile", metavar="NAME", help="the profile; the one that is set where left out")


def profile_named(settings: Settings, args: argparse.Namespace) -> str:
    """The profile of ``--profile``, or the one that is set.

    Raises:
        NoProfileSet: neither.
        UnknownProfile: it has no file, as one that was set and has gone.
    """
    from gentoomuch_portage.config import profile

    name = chosen(settings, argparse.Namespace(name=args.profile))
    if name not in (known := profile.names(settings)):
        raise UnknownProfile(name, known)
    return name
