"""From a command line to the work of one command; every error is shown here."""

import argparse
import os
from collections.abc import Iterable

from gentoomuch_portage import console
from gentoomuch_portage.cli import Command, commands, parser
from gentoomuch_portage.cli.errors import BadUsage
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter import front
from gentoomuch_portage.settings import Settings
from gentoomuch_portage.system import refused


def enter(argv: list[str], plugins: Iterable[tuple[str, object]] = ()) -> int:
    """Run a command line; the exit status.

    Args:
        argv: without the program's name.
        plugins: objects that join besides the installed ones.
    """
    words, behind = _parted(argv)
    with console.shown(as_json="--json" in words) as end:
        try:
            end.status = _work(words, behind, plugins)
        except OSError as error:
            raise refused(error) from error
    return end.status


def _work(words: list[str], behind: list[str] | None, plugins: Iterable[tuple[str, object]]) -> int:
    general, rest = parser.first(words)
    _paint(general.color)
    offered = _offered(general, rest[0] if rest else "", plugins)
    args = parser.build(offered).parse_args(words)
    if behind is not None and not getattr(args, "becomes", False):
        raise BadUsage("gentoomuch", f"this command takes nothing behind --: {' '.join(behind)}")
    args.behind = tuple(behind or ())
    command = next(one for one in offered if one.name == args.command)
    return command.work(_settings(general), args)


def _offered(general: argparse.Namespace, name: str, plugins: Iterable[tuple[str, object]]) -> tuple[Command, ...]:
    """Our commands, with those of plugins where the name is none of ours.

    Plugins are not asked for one of ours: the commands that find out what is wrong with a plugin must
    not need it.

    Raises:
        CommandsConflict: two have it.
    """
    ours = commands.ours()
    if any(one.name == name for one in ours):
        return ours
    if not name.startswith("-"):
        return commands.every(_settings(general), plugins)
    try:
        return commands.every(_settings(general), plugins)
    except GmError as error:  # help is never refused
        console.warn(f"the commands of plugins are left out: {error.message}")
        return ours


def _settings(general: argparse.Namespace) -> Settings:
    said = {name: told for name in ("config", "state", "cache") if (told := getattr(general, name))}
    return Settings.of(os.environ, eprefix=front.eprefix(), said=said)


def _parted(argv: list[str]) -> tuple[list[str], list[str] | None]:
    """Our words, and those of a command behind ``--``: None where there is no ``--``.

    Parted before argparse sees them, which keeps or drops a ``--`` differently from Python to Python.
    """
    if "--" not in argv:
        return argv, None
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _paint(told: bool | None) -> None:
    """``--color``, as console and the programs that we start read it. Source: no-color.org, force-color.org."""
    if told is None:
        return
    wanted, other = ("FORCE_COLOR", "NO_COLOR") if told else ("NO_COLOR", "FORCE_COLOR")
    os.environ.pop(other, None)
    os.environ[wanted] = "1"
