"""Who could take part in a run, and who does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage import __version__, hookspec, manager


@dataclass(frozen=True, slots=True)
class Member:
    """A plugin."""

    name: str
    source: str
    """The distribution that it comes with, and its version."""
    hooks: tuple[str, ...]
    """The hooks that it answers; empty where it is left out."""
    left_out: str
    """Why it takes no part; empty where it does."""


def members(cache: Path, *, without: frozenset[str]) -> list[Member]:
    """All plugins, ours first.

    Args:
        without: names that are to stay out.

    Raises:
        UnknownPlugin, PluginFailed: as manager.make_manager.
    """
    joined = manager.make_manager(cache, without=without)
    ours = dict.fromkeys(manager.BUILT_IN, f"gentoomuch-portage {__version__}")
    found = []
    for name, source in {**ours, **_distributions()}.items():
        plugin = joined.get_plugin(name)
        callers = joined.get_hookcallers(plugin) if plugin is not None else ()
        why = "" if plugin is not None else "left out by --gm-no" if name in without else "it cannot be imported"
        found.append(Member(name, source, tuple(sorted(one.name for one in callers or ())), why))
    return found


def _distributions() -> Mapping[str, str]:
    """Plugins of other distributions -> distribution and version."""
    from importlib.metadata import entry_points

    return {
        one.name: f"{one.dist.name} {one.dist.version}" if one.dist else one.value
        for one in sorted(entry_points(group=hookspec.GROUP), key=lambda one: one.name)
    }
