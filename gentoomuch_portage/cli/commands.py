"""Which commands there are: ours by an explicit tuple, then those of plugins."""

import os
from collections.abc import Iterable

from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.errors import CommandsConflict
from gentoomuch_portage.errors import PluginFailed
from gentoomuch_portage.settings import Settings


def ours() -> tuple[Command, ...]:
    """Our own commands, in the order in which help lists them."""
    from gentoomuch_portage.cli import (
        binhost,
        binpkg,
        bootstrap,
        demo,
        doctor,
        dotgentoo,
        fleet,
        freeze,
        freshroot,
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
        bootstrap.COMMAND,
        root.COMMAND,
        freshroot.COMMAND,
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
    from gentoomuch_portage import manager
    from gentoomuch_portage.request import Request

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
