# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of gentoomuch: general options everywhere, commands in commands, and usage errors as GmError."""

import argparse
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from snakeoil.cli import arghparse

from gentoomuch_portage import __version__
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage, no_active_profile, unknown_command
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import unknown_profile

GENERAL_OPTIONS = "general options"
"""Title of the group of options that every command takes."""
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "add": ("create", "new"),
    "ls": ("list",),
    "rm": ("delete", "remove"),
    "set": ("use",),
}
"""Name of a command -> other names that people type for it. Help does not list them."""


class Parser(arghparse.ArgumentParser):  # type: ignore[misc]
    """snakeoil's parser with our general options, which may be given before or after the command.

    The arguments of a command are added when its parser is first used: a run adds those of one command.
    """

    is_command = False
    """Whether it is the parser of a command without commands below it."""
    titles: Mapping[str, str] = {}
    """Name of a command below it -> the title under which help lists it."""

    def __init__(self, *, helps: bool = True, **options: Any) -> None:
        super().__init__(suppress=True, debug=False, verbose=False, allow_abbrev=False, **options)
        self._add: Callable[[Parser], None] | None = None
        self._arguments: Sequence[str] = ()
        general = self.add_argument_group(GENERAL_OPTIONS)
        if helps:
            general.add_argument("-h", "--help", action="help", help="show this help and exit")
            version = f"gentoomuch-portage {__version__}"
            names = ("--version",) if " " in self.prog else ("-V", "--version")
            general.add_argument(*names, action="version", version=version, help="show the version and exit")
        general.add_argument("--config", metavar="DIR", help="configuration directory (default: /etc/gentoomuch)")
        general.add_argument("--state", metavar="DIR", help="state directory (default: /var/lib/gentoomuch)")
        general.add_argument("--cache", metavar="DIR", help="cache directory (default: /var/cache/gentoomuch)")
        general.add_argument("-q", "--quiet", action="store_true", help="print only results and errors")
        general.add_argument("--color", action=arghparse.StoreBool, help="colour output: y or n (default: auto)")

    def add_later(self, add: "Callable[[Parser], None]") -> None:
        """Have arguments added by a function when the parser is first used."""
        self._add = add

    def ensure_arguments(self) -> "Parser":
        """Add the arguments that are still missing; return the parser itself."""
        if self._add is not None:
            add, self._add = self._add, None
            add(self)
            self.is_command = not self._subparsers
        return self

    def parse_known_args(self, args: Any, namespace: Any) -> Any:
        """Override argparse: print help if no command is named; reject an unknown argument in the named command."""
        self.ensure_arguments()
        arguments = self._arguments = self._values_first(args) if self.is_command else args
        parsed, rest = super().parse_known_args(arguments, namespace)
        if rest and self.is_command:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        if below := self._find_below():
            name = getattr(parsed, below.dest)
            if name is None and rest:
                self.error(f"unrecognized arguments: {' '.join(rest)}")
            if name is None:
                self.print_help()
                self.exit()
            originals = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
            setattr(parsed, below.dest, name if name in list_names(below) else originals[name])
        return parsed, rest

    def _find_below(self) -> "argparse._SubParsersAction[Parser] | None":
        """Return the action with the commands below it."""
        return next((action for action in self._actions if isinstance(action, argparse._SubParsersAction)), None)

    def format_usage(self) -> str:
        """Override argparse: name no general options."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._own_actions(), self._mutually_exclusive_groups)
        return str(formatter.format_help())

    def format_help(self) -> str:
        """Override argparse: list commands by title, show examples, and general options only for the whole program."""
        self.ensure_arguments()
        from gentoomuch_portage.cli.examples import find_examples

        is_program = " " not in self.prog
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._own_actions(), self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        for title, actions in sorted(self._sections(), key=lambda section: section[0] == GENERAL_OPTIONS):
            if title != GENERAL_OPTIONS or is_program:
                formatter.start_section(title)
                formatter.add_arguments(actions)
                formatter.end_section()
        lines = [formatter.format_help().rstrip("\n")]
        if examples := list(find_examples(self.prog.partition(" ")[2])):
            lines += ["", "examples:" if len(examples) > 1 else "example:"]
            lines += [f"  gentoomuch {example}" for example in examples]
        if self._find_below():
            lines += ["", f"Help for a command: {self.prog} COMMAND --help"]
        if not is_program:
            lines += ["", "General options, such as --config: gentoomuch --help"]
        return "\n".join([*lines, ""])

    def _sections(self) -> Iterator[tuple[str, list[argparse.Action]]]:
        """Yield the titles of the help with what is listed below each."""
        for group in self._action_groups:
            for action in group._group_actions:
                if isinstance(action, argparse._SubParsersAction):
                    rows: dict[str, list[argparse.Action]] = {title: [] for title in self.titles.values()}
                    for row in action._choices_actions:
                        rows.setdefault(self.titles.get(row.dest, "commands"), []).append(row)
                    yield from ((title, listed) for title, listed in rows.items() if listed)
            if plain := [action for action in group._group_actions if action.option_strings or not action.choices]:
                yield group.title or "", plain

    def _own_actions(self) -> list[argparse.Action]:
        """Return the arguments that are not general options."""
        general = [group._group_actions for group in self._action_groups if group.title == GENERAL_OPTIONS]
        return [action for action in self._actions if not any(action in actions for actions in general)]

    def _values_first(self, arguments: Sequence[str]) -> list[str]:
        """Return the values of the command, then its options, each in their order.

        argparse assigns values at the first option: with ``[NAME] FILE``, ``NAME --option FILE`` would be an error.
        """
        values: list[str] = []
        options: list[str] = []
        left = 0.0  # arguments that the last option still takes
        for argument in arguments:
            if action := self._option_string_actions.get(argument):
                count = action.nargs
                left = count if isinstance(count, int) else math.inf if count in {"*", "+"} else 1
                options.append(argument)
            elif self._parse_optional(argument) is not None:
                left = 0  # its value is part of it, or it is unknown
                options.append(argument)
            elif left:
                left -= 1
                options.append(argument)
            else:
                values.append(argument)
        return [*values, *options]

    def _parse_optional(self, arg_string: str) -> Any:
        """Override snakeoil, which since 0.11.4 takes an unknown option with one dash as a value."""
        return argparse.ArgumentParser._parse_optional(self, arg_string)

    def error(self, message: str, status: int = 64) -> NoReturn:
        """Override argparse: raise instead of printing.

        Raises:
            UsageError[usage]: always.
        """
        from gentoomuch_portage.cli.correct import find_usage_correction

        error = bad_usage(self.prog, message)
        error.correction = find_usage_correction(self, message, self._arguments)
        raise error

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Override argparse: suggest the nearest command for an unknown one."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            raise unknown_command(self.prog, value, list_names(action))
        super()._check_value(action, value)


def parse_general_options(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the general options of a command line.

    Returns:
        The options, and the other arguments in their order, the command first.

    Raises:
        UsageError[usage]: a general option is wrong.
    """
    parsed, rest = Parser(prog="gentoomuch", helps=False).parse_known_args(argv, None)
    return parsed, list(rest)


def list_names(below: "argparse._SubParsersAction[Parser]") -> list[str]:
    """Return the names of commands, without other names for them."""
    return [row.dest for row in below._choices_actions]


def build_parser(commands: Iterable[Command], titles: Mapping[str, str] = MappingProxyType({})) -> Parser:
    """Build the parser of the given commands.

    Args:
        titles: name of a command -> the title under which help lists it.
    """
    parser = Parser(prog="gentoomuch", description="Manage profiles of Gentoo machines; gm-emerge builds for them.")
    parser.titles = titles
    _add_commands(parser, commands, "command")
    return parser


def group_commands(name: str, help_: str, commands: Iterable[Command]) -> Command:
    """Return a command with commands below it: ``gentoomuch NAME COMMAND``."""
    commands = tuple(commands)
    dest = f"{name}_command"

    def add(parser: Parser) -> None:
        _add_commands(parser, commands, dest)

    def work(settings: Settings, args: argparse.Namespace) -> int:
        name = getattr(args, dest)
        return next(command for command in commands if command.name == name).work(settings, args)

    return Command(name, help_, add, work)


def _add_commands(parser: Parser, commands: Iterable[Command], dest: str) -> None:
    below = parser.add_subparsers(dest=dest, title="commands", metavar="COMMAND")
    below.required = False  # a call without a command prints help
    for command in commands:
        description = f"{command.help[:1].upper()}{command.help[1:]}."
        below.add_parser(command.name, help=command.help, description=description).add_later(command.add)
    for name in list_names(below):
        for alias in _ALIASES.get(name, ()):
            below.choices.setdefault(alias, below.choices[name])


def add_json_option(parser: Parser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def check_single_stdout(prog: str, file: Path | None, args: argparse.Namespace) -> None:
    """Check that a file and ``--json`` are not both written to stdout.

    Raises:
        UsageError[usage]: both are.
    """
    from gentoomuch_portage.fs import STDIO

    if args.json and file == STDIO:
        raise bad_usage(prog, "cannot write both - and --json to standard output")


def add_profile_argument(parser: Parser) -> None:
    """Add the argument ``NAME``, a profile."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="profile (default: the active profile)")


def add_profile_arguments(parser: Parser) -> None:
    """Add the arguments ``NAME...``, profiles."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="profiles (default: all)")


def add_profile_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--profile``, for a command whose argument is something else."""
    parser.add_argument("--profile", metavar="NAME", help="profile (default: the active profile)")


def find_profile(settings: Settings, name: str | None) -> str:
    """Return the profile named on the command line or by GM_PROFILE, or the active one; empty if there is none.

    Raises:
        BadFile, UsageError[unknown-profile]: the active profile does not exist.
    """
    from gentoomuch_portage.config import profile

    return name or os.environ.get("GM_PROFILE") or profile.active(settings)


def require_profile(settings: Settings, args: argparse.Namespace) -> str:
    """Return the name of the profile that a command works on.

    Raises:
        UsageError[no-profile]: none is named on the command line or by GM_PROFILE, and none is active.
    """
    from gentoomuch_portage.config import profile

    name = find_profile(settings, args.name)
    if not name:
        error = no_active_profile(profile.names(settings), option="--profile=" if "profile" in args else "")
        if error.correction and (file := getattr(args, "file", None)):  # NAME is before it
            error.with_correction(str(file), "NAME", str(file))
        raise error
    return name


def require_profiles(settings: Settings, args: argparse.Namespace) -> tuple[str, ...]:
    """Return the profiles named on the command line, or all of them.

    Raises:
        UsageError[no-profile]: there is no profile.
        UsageError[unknown-profile]: a profile has no file.
    """
    from gentoomuch_portage.config import profile

    known = profile.names(settings)
    names = tuple(dict.fromkeys(args.names)) or known
    if not names:
        raise no_active_profile(names)
    if unknown := [name for name in names if name not in known]:
        raise unknown_profile(unknown[0], known)
    return names


def require_known_profile(settings: Settings, args: argparse.Namespace) -> str:
    """Return the profile of ``--profile``, or the active one.

    Raises:
        UsageError[no-profile]: there is neither.
        UsageError[unknown-profile]: the profile has no file.
    """
    from gentoomuch_portage.config import profile

    name = require_profile(settings, argparse.Namespace(name=args.profile, profile=args.profile))
    if name not in (known := profile.names(settings)):
        raise unknown_profile(name, known)
    return name
