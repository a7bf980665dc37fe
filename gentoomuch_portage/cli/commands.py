"""Which commands there are: ours by an explicit tuple, then those of plugins.

From a command line to the work of one command; every error is shown here.
"""

import argparse
import os
from collections.abc import Iterable

from gentoomuch_portage import console
from gentoomuch_portage.cli import parser
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.errors import BadUsage, CommandsConflict
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError, PluginFailed, refused
from gentoomuch_portage.portage_adapter import emerge


def ours() -> tuple[Command, ...]:
    """Our own commands, in the order in which help lists them."""
    from gentoomuch_portage.cli import (
        binhost,
        binpkg,
        demo,
        doctor,
        dotgentoo,
        fleet,
        freeze,
        history,
        hooks,
        init,
        isa,
        patch,
        plugins,
        profile,
        root,
        sync,
        unmask,
        why,
    )

    return (
        init.COMMAND,
        profile.COMMAND,
        unmask.COMMAND,
        binpkg.COMMAND,
        binhost.COMMAND,
        patch.COMMAND,
        isa.COMMAND,
        dotgentoo.COMMAND,
        *freeze.COMMANDS,
        sync.COMMAND,
        root.BOOTSTRAP,
        root.COMMAND,
        root.FRESHROOT,
        history.COMMAND,
        why.COMMAND,
        fleet.COMMAND,
        hooks.COMMAND,
        doctor.COMMAND,
        plugins.COMMAND,
        demo.COMMAND,
    )


def every(settings: Settings, also: Iterable[tuple[str, object]] = ()) -> tuple[Command, ...]:
    """Ours and those of plugins.

    Raises:
        CommandsConflict: two have one name.
        PluginFailed: a plugin gave something else, or failed.
    """
    from gentoomuch_portage.plan.request import Request
    from gentoomuch_portage.plugins import manager

    without = Request.of((), os.environ).without
    joined = manager.make_manager(settings.cache, without=without, strict=settings.strict, also=also)
    found = {one.name: (one, "gentoomuch itself") for one in ours()}
    for plugin, one in manager.gather(joined, "gm_commands"):
        if not isinstance(one, Command):
            raise PluginFailed(plugin, "gm_commands", f"{one!r} is no Command")
        if one.name in found:
            raise CommandsConflict(one.name, found[one.name][1], f"plugin {plugin!r}")
        found[one.name] = (one, f"plugin {plugin!r}")
    return tuple(one for one, _ in found.values())


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
    ours_ = ours()
    if any(one.name == name for one in ours_):
        return ours_
    if not name.startswith("-"):
        return every(_settings(general), plugins)
    try:
        return every(_settings(general), plugins)
    except GmError as error:  # help is never refused
        console.warn(f"the commands of plugins are left out: {error.message}")
        return ours_


def _settings(general: argparse.Namespace) -> Settings:
    said = {name: told for name in ("config", "state", "cache") if (told := getattr(general, name))}
    return Settings.of(os.environ, eprefix=emerge.eprefix(), said=said)


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
