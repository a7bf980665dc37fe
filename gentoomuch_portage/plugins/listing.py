# SPDX-License-Identifier: GPL-2.0-or-later
"""List the plugins: installed ones, and which of them a run uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from gentoomuch_portage import __version__
from gentoomuch_portage.plugins import hookspec, manager


@dataclass(frozen=True, slots=True)
class Member:
    """A plugin."""

    name: str
    source: str
    """Name and version of its distribution."""
    hooks: tuple[str, ...]
    """Hooks that it implements; empty if it is not used."""
    left_out: str
    """Why it is not used; empty if it is used."""


def members(cache: Path, *, without: frozenset[str]) -> list[Member]:
    """Return all plugins, own ones first.

    Args:
        without: names of disabled plugins.

    Raises:
        UsageError[unknown-plugin], RunError[plugin-failed]: see ``manager.make_manager``.
    """
    joined = manager.make_manager(cache, without=without)
    ours = dict.fromkeys(manager.BUILT_IN, f"gentoomuch-portage {__version__}")
    plugins = []
    for name, source in {**ours, **_distributions()}.items():
        plugin = joined.get_plugin(name)
        callers = joined.get_hookcallers(plugin) if plugin is not None else ()
        why = "" if plugin is not None else "left out by --gm-no" if name in without else "it cannot be imported"
        plugins.append(Member(name, source, tuple(sorted(caller.name for caller in callers or ())), why))
    return plugins


def _distributions() -> Mapping[str, str]:
    """Return the plugins of other distributions: name -> distribution and version."""
    return {
        entry.name: f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        for entry in sorted(entry_points(group=hookspec.GROUP), key=lambda entry: entry.name)
    }
