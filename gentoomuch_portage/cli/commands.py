# SPDX-License-Identifier: GPL-2.0-or-later
"""Load the commands of gentoomuch and of plugins, and run a command line."""

import argparse
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import import_module

from gentoomuch_portage import console
from gentoomuch_portage.cli import parser
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import bad_usage, commands_conflict
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError, bare, full_place, plugin_failed, refused

GROUPS: Mapping[str, Mapping[str, str]] = {
    "machines": {
        "init": "init", "profile": "profile", "status": "status", "update": "update", "fleet": "fleet",
        "doctor": "doctor",
    },
    "packages": {
        "why": "why", "history": "history", "unmask": "unmask", "patch": "patch", "binpkg": "binpkg", "isa": "isa",
        "sync": "sync",
    },
    "builds and roots": {
        "build": "build", "bootstrap": "bootstrap", "root": "root", "freshroot": "root", "image": "image",
        "dotgentoo": "dotgentoo",
    },
    "sharing": {"binhost": "binhost", "farm": "farm", "freeze": "freeze", "verify": "freeze", "thaw": "freeze"},
    "gentoomuch itself": {
        "config": "config", "hooks": "hooks", "plugins": "plugins", "demo": "demo", "help": "help", "version": "help",
    },
}  # fmt: skip
"""Title of a group in ``--help`` -> own command -> its module below ``cli``."""
MODULES: Mapping[str, str] = {name: module for group in GROUPS.values() for name, module in group.items()}
"""Own command -> its module below ``cli``. A run imports only the module of its command."""
TITLES: Mapping[str, str] = {name: title for title, group in GROUPS.items() for name in group}
"""Own command -> the title of its group."""


def load_own_command(name: str) -> Command:
    """Import the module of one of our own commands, and return the command."""
    module = import_module(f"gentoomuch_portage.cli.{MODULES[name]}")
    values = (value for value in vars(module).values() if isinstance(value, Command | tuple))
    commands = (command for value in values for command in (value if isinstance(value, tuple) else (value,)))
    return next(command for command in commands if isinstance(command, Command) and command.name == name)


def load_own_commands() -> tuple[Command, ...]:
    """Return our own commands in the order of ``--help``."""
    return tuple(map(load_own_command, MODULES))


def load_all_commands(settings: Settings, also: Iterable[tuple[str, object]] = ()) -> tuple[Command, ...]:
    """Return our own commands, then those of plugins.

    Args:
        also: name and object of further plugins.

    Raises:
        RunError[commands-conflict]: two commands have the same name.
        RunError[plugin-failed]: a plugin raised an exception, or returned something else than commands.
    """
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.plugins import manager

    without = Request.parse((), os.environ).without
    joined = manager.make_manager(settings.cache, without=without, strict=settings.strict, also=also)
    commands = {command.name: (command, "gentoomuch itself") for command in load_own_commands()}
    for plugin, command in manager.gather(joined, "gm_commands"):
        if not isinstance(command, Command):
            raise plugin_failed(plugin, "gm_commands", f"{command!r} is not a Command")
        if command.name in commands:
            raise commands_conflict(command.name, commands[command.name][1], f"plugin {plugin!r}")
        commands[command.name] = (command, f"plugin {plugin!r}")
    return tuple(command for command, _ in commands.values())


def run_command_line(argv: list[str], plugins: Iterable[tuple[str, object]] = ()) -> int:
    """Run a command line, report its errors, and return its exit status.

    Args:
        argv: arguments without the name of the program.
        plugins: name and object of plugins besides the installed ones.
    """
    arguments, following = _split_at_double_dash(argv)
    with console.report_errors(as_json="--json" in arguments) as end:
        try:
            end.status = _run(arguments, following, plugins)
        except GmError as error:
            _correct(error, argv, plugins)
            raise
        except OSError as error:
            failure = refused(error)
            _correct(failure, argv, plugins)
            raise failure from error
        except (AttributeError, ImportError) as error:
            from gentoomuch_portage.portage_adapter import private_api

            if cause := private_api.find_cause(error):
                raise cause from error
            raise
    return end.status


def _run(arguments: list[str], following: list[str] | None, plugins: Iterable[tuple[str, object]]) -> int:
    general, rest = parser.parse_general_options(arguments)
    _set_colour(general.color)
    commands = _load_commands(general, rest[0] if rest else "", plugins)
    args = parser.build_parser(commands, TITLES).parse_args(arguments)
    if following is not None and not getattr(args, "becomes", False):
        what = f"this command takes no arguments after --: {' '.join(following)}"
        raise bad_usage("gentoomuch", what).with_correction("--", length=1 + len(following))
    args.behind = tuple(following or ())
    command = next(candidate for candidate in commands if candidate.name == args.command)
    settings = _load_settings(general)
    try:
        return command.work(settings, args)
    except OSError as error:
        raise refused(error, full_place((*settings.written, "."))) from error


def _correct(error: GmError, argv: list[str], plugins: Iterable[tuple[str, object]]) -> None:
    """Make the hint of an error the corrected command line, if the error says how to correct it."""
    if error.correction is None:
        return
    from gentoomuch_portage.cli.correct import find_corrected

    def parse(corrected: list[str]) -> None:
        arguments, following = _split_at_double_dash(corrected)
        general, rest = parser.parse_general_options(arguments)
        commands = _load_commands(general, rest[0] if rest else "", plugins)
        args = parser.build_parser(commands, TITLES).parse_args(arguments)
        if following is not None and not getattr(args, "becomes", False):
            raise bad_usage("gentoomuch", "this command takes no arguments after --")

    def find_name() -> str:
        from gentoomuch_portage.config import profile

        general, _ = parser.parse_general_options([])
        with suppress(GmError, OSError):
            general, _ = parser.parse_general_options(_split_at_double_dash(argv)[0])
        with suppress(GmError, OSError):
            return profile.example_name(_load_settings(general), argv)
        return ""

    if corrected := find_corrected(error, argv, parse, find_name):
        error.hint = shlex.join(map(bare, corrected))


def _load_commands(
    general: argparse.Namespace, name: str, plugins: Iterable[tuple[str, object]]
) -> tuple[Command, ...]:
    """Return only the named command if it is ours, otherwise all commands, those of plugins included.

    Plugins are not loaded for a command of ours: the commands that diagnose plugins must work without them.

    Raises:
        RunError[commands-conflict]: two commands have the same name.
    """
    if name in MODULES:
        return (load_own_command(name),)
    if name and not name.startswith("-"):
        return load_all_commands(_load_settings(general), plugins)
    try:
        return load_all_commands(_load_settings(general), plugins)
    except GmError as error:  # help always works
        console.warning(f"commands of plugins are not available: {error.message}")
        return load_own_commands()


def _load_settings(general: argparse.Namespace) -> Settings:
    from gentoomuch_portage.portage_adapter import paths

    options = {name: value for name in ("config", "state", "cache") if (value := getattr(general, name))}
    return Settings.load(os.environ, eprefix=paths.eprefix(), options=options)


def _split_at_double_dash(argv: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the arguments before ``--`` and those after it; None instead of the latter without a ``--``.

    argparse keeps or drops ``--`` differently in each version of Python.
    """
    if "--" not in argv:
        return argv, None
    index = argv.index("--")
    return argv[:index], argv[index + 1 :]


def _set_colour(wanted: bool | None) -> None:
    """Set what ``--color`` asks for in the environment, for ourselves and the programs that we start.

    Source: no-color.org, force-color.org.
    """
    if wanted is None:
        return
    set_, unset = ("FORCE_COLOR", "NO_COLOR") if wanted else ("NO_COLOR", "FORCE_COLOR")
    os.environ.pop(unset, None)
    os.environ[set_] = "1"
