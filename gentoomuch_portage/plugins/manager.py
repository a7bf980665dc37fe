"""Which plugins take part, and how their answers are gathered.

Who could take part in a run, and who does.
"""

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pluggy

from gentoomuch_portage import __version__, console
from gentoomuch_portage.errors import GmError, PluginFailed, UnknownPlugin, refused
from gentoomuch_portage.plan.plan import KINDS, Part
from gentoomuch_portage.plugins import hookspec

BUILT_IN = (
    "profile", "cpu", "binpkg", "binhost", "patches", "audit", "unmask", "dotgentoo", "journal", "progress",
    "isolation", "runner",
)  # fmt: skip
"""Ours, each a module of ``gentoomuch_portage.builtin_plugins``."""
_MODULES = {"journal": "history"}
_NEEDED = frozenset({"profile", "runner"})
"""Without these there is no run for a profile."""
_RACY = 2_000_000_000
"""Nanoseconds. A folder changed so shortly before it was searched may change again unseen."""
_TYPES = tuple(KINDS.values())


def make_manager(
    cache: Path, *, without: frozenset[str] = frozenset(), strict: bool = False, also: Iterable[tuple[str, object]] = ()
) -> pluggy.PluginManager:
    """Let the plugins join: ours, those of other distributions, then the given objects.

    Args:
        without: names that stay out.
        strict: a plugin that cannot be imported ends the run; otherwise it is named and left out.

    Raises:
        UnknownPlugin: ``without`` names one that is not here, or that cannot be left out.
        PluginFailed: a plugin cannot be imported, or misspells a hook.
    """
    manager = pluggy.PluginManager(hookspec.GROUP)
    manager.add_hookspecs(hookspec)
    offered = entry_points(cache)
    for name in sorted(without):
        if name in _NEEDED or name not in {*BUILT_IN, *(name for name, _ in offered)}:
            others = {*BUILT_IN, *(name for name, _ in offered)} - _NEEDED
            raise UnknownPlugin(name, others, needed=name in _NEEDED)
    for name in BUILT_IN:
        if name not in without:
            manager.register(import_module(f"gentoomuch_portage.builtin_plugins.{_MODULES.get(name, name)}"), name)
    for name, place in offered:
        if name not in without:
            _join(manager, name, place, strict=strict)
    for name, plugin in also:
        manager.register(plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginFailed(manager.get_name(error.plugin) or "?", "its hooks", str(error)) from error
    return manager


def _join(manager: pluggy.PluginManager, name: str, place: str, *, strict: bool) -> None:
    """Let a plugin of another distribution join; ``place`` is ``module:attribute``."""
    try:
        module, _, attribute = place.partition(":")
        plugin: Any = import_module(module)
        manager.register(getattr(plugin, attribute) if attribute else plugin, name)
    except (Exception, SystemExit) as error:  # whatever a stranger's import raises
        told = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error, pluggy.PluginValidationError) and manager.has_plugin(name):
            manager.unregister(name=name)  # before pluggy 1.7 some of its hooks are in by now
        if strict:
            raise PluginFailed(name, "import", told) from error
        console.warn(f"plugin {name!r} is left out: {told}")


def gather(manager: pluggy.PluginManager, hook: str, **asked: Any) -> Iterator[tuple[str, Any]]:
    """Each plugin's answers to a hook that returns several, by plugin, ours first, then by name.

    Raises:
        PluginFailed: an implementation raised something of its own, or answered with something else.
    """
    caller = getattr(manager.hook, hook)
    order = {name: number for number, name in enumerate(BUILT_IN)}
    for implementation in sorted(
        caller.get_hookimpls(), key=lambda one: (order.get(one.plugin_name, 99), one.plugin_name)
    ):
        named = {name: asked[name] for name in implementation.argnames}
        try:
            for answer in implementation.function(**named) or ():
                if hook == "gm_parts" and not isinstance(answer, _TYPES):
                    raise PluginFailed(implementation.plugin_name, hook, f"{answer!r} is no part")
                yield implementation.plugin_name, answer
        except GmError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and implementation.plugin_name in BUILT_IN:
                raise refused(error) from error
            raise PluginFailed(implementation.plugin_name, hook, f"{type(error).__name__}: {error}") from error


def first(manager: pluggy.PluginManager, hook: str, **asked: Any) -> Any:
    """The first answer to a hook that wants one.

    Raises:
        PluginFailed: a plugin of another distribution raised something of its own.
    """
    caller = getattr(manager.hook, hook)
    try:
        return caller(**asked)
    except GmError:
        raise
    except Exception as error:
        codes = {getattr(one.function, "__code__", None): one.plugin_name for one in caller.get_hookimpls()}
        frames = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
        name = [codes[code] for code in frames if code in codes][-1:]
        if not name or name[0] in BUILT_IN:
            raise
        raise PluginFailed(name[0], hook, f"{type(error).__name__}: {error}") from error


def hear(manager: pluggy.PluginManager, hook: str, *, failed: set[str] | None = None, **told: Any) -> None:
    """Tell all plugins what has happened; where one fails, that is one line of warning.

    Args:
        failed: names of plugins that are no longer told; grows by those that fail.
    """
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if failed is not None and implementation.plugin_name in failed:
            continue
        try:
            implementation.function(**{key: told[key] for key in implementation.argnames})
        except Exception as error:  # whatever a stranger's plugin raises
            console.warn(f"plugin {implementation.plugin_name!r} did not record this run: {error}")
            if failed is not None:
                failed.add(implementation.plugin_name)


def parts(manager: pluggy.PluginManager, **asked: Any) -> tuple[tuple[str, Part], ...]:
    """All parts of a run."""
    return tuple(gather(manager, "gm_parts", **asked))


def entry_points(cache: Path) -> list[tuple[str, str]]:
    """Name and ``module:attribute`` of the plugins of other distributions, sorted.

    Scanning 300 distributions takes longer than composing a configroot, so the answer is kept until
    a directory on sys.path changes.
    """
    key = [sys.version, *(f"{one} {_stamp(one)}" for one in sys.path if one)]
    kept = cache / "plugins.json"
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["key"] == key:
            return [(name, where) for name, where in found["plugins"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from importlib.metadata import entry_points as scan

    from gentoomuch_portage import fs

    looked_at = time.time_ns()
    plugins = sorted({(one.name, one.value) for one in scan(group=hookspec.GROUP)})
    if all(_stamp(one) < looked_at - _RACY for one in sys.path if one):
        with contextlib.suppress(OSError, GmError):  # a cache that cannot be written costs time, nothing else
            fs.write(kept, json.dumps({"key": key, "plugins": plugins}))
    return plugins


def _stamp(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


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
    joined = make_manager(cache, without=without)
    ours = dict.fromkeys(BUILT_IN, f"gentoomuch-portage {__version__}")
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
