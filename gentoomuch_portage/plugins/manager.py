# SPDX-License-Identifier: GPL-2.0-or-later
"""Load plugins and call their hooks."""

import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from gentoomuch_portage import console, ownership
from gentoomuch_portage.errors import GmError, plugin_failed, refused, unknown_plugin
from gentoomuch_portage.fs import Cache
from gentoomuch_portage.plan.plan import KINDS, Part
from gentoomuch_portage.plugins import hookspec
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from importlib import metadata

    from gentoomuch_portage.config.settings import Settings
    from gentoomuch_portage.plan.plan import Plan
    from gentoomuch_portage.plugins.hookspec import RunListener
    from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Reject
else:
    metadata = LazyModule("importlib.metadata")

BUILT_IN = (
    "profile", "cpu", "binpkg", "binhost", "patches", "audit", "unmask", "dotgentoo", "journal", "progress",
    "isolation", "runner",
)  # fmt: skip
"""Own plugins, each a module of ``gentoomuch_portage.builtin_plugins``."""
_MODULES = {"journal": "history"}
_NEEDED = frozenset({"profile", "runner"})
"""A run for a profile needs these."""
_RACY = 2_000_000_000
"""Nanoseconds. If a directory was changed within that time, the next change may have the same time stamp."""
_TYPES = tuple(KINDS.values())


def make_manager(
    cache: Path,
    *,
    without: frozenset[str] = frozenset(),
    strict: bool = False,
    also: Iterable[tuple[str, object]] = (),
    checked: bool = True,
) -> pluggy.PluginManager:
    """Load the plugins: own ones, those of other distributions, then the given objects.

    Args:
        without: names of plugins that are not loaded.
        strict: raise an error if a plugin cannot be imported; otherwise it is skipped with a warning.
        checked: reject code of other users if the user is root.

    Raises:
        UsageError[unknown-plugin]: ``without`` has a plugin that is not installed, or that cannot be disabled.
        RunError[plugin-failed]: a plugin cannot be imported, or misspells a hook.
        ConfigError[foreign-file]: a plugin belongs to another user.
    """
    manager = pluggy.PluginManager(hookspec.GROUP)
    manager.add_hookspecs(hookspec)
    others = entry_points(cache)
    for name in sorted(without):
        if name in _NEEDED or name not in {*BUILT_IN, *(name for name, _ in others)}:
            available = {*BUILT_IN, *(name for name, _ in others)} - _NEEDED
            raise unknown_plugin(name, available, needed=name in _NEEDED)
    for name in BUILT_IN:
        if name not in without:
            manager.register(import_module(f"gentoomuch_portage.builtin_plugins.{_MODULES.get(name, name)}"), name)
    for name, place in others:
        if name not in without:
            if checked:
                _check_owner(name, place.partition(":")[0])
            _load(manager, name, place, strict=strict)
    for name, plugin in also:
        manager.register(plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise plugin_failed(manager.get_name(error.plugin) or "?", "its hooks", str(error)) from error
    return manager


def _load(manager: pluggy.PluginManager, name: str, place: str, *, strict: bool) -> None:
    """Load a plugin of another distribution; ``place`` is ``module:attribute``."""
    try:
        module, _, attribute = place.partition(":")
        plugin: Any = import_module(module)
        manager.register(getattr(plugin, attribute) if attribute else plugin, name)
    except (Exception, SystemExit) as error:  # an import may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error, pluggy.PluginValidationError) and manager.has_plugin(name):
            manager.unregister(name=name)  # before pluggy 1.7 some of its hooks are registered by now
        if strict:
            raise plugin_failed(name, "import", reason) from error
        console.warning(f"plugin {name!r} skipped: {reason}")


def _check_owner(name: str, module: str) -> None:
    """Check the owner of a plugin's code before it runs.

    Raises:
        ConfigError[foreign-file]: we are root, and another user can change it.
    """
    package = find_spec(module.partition(".")[0])
    for place in filter(None, (*(package.submodule_search_locations or ()), package.origin) if package else ()):
        ownership.check_path(f"plugin {name!r}", Path(place))


def gather(manager: pluggy.PluginManager, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield plugin and answer for each answer of a hook that returns several; own plugins first, then by name.

    Raises:
        RunError[plugin-failed]: an implementation raised another exception, or returned another type.
    """
    caller = getattr(manager.hook, hook)
    order = {name: number for number, name in enumerate(BUILT_IN)}
    for implementation in sorted(
        caller.get_hookimpls(), key=lambda impl: (order.get(impl.plugin_name, 99), impl.plugin_name)
    ):
        named = {name: arguments[name] for name in implementation.argnames}
        try:
            for answer in implementation.function(**named) or ():
                if hook == "gm_parts" and not isinstance(answer, _TYPES):
                    raise plugin_failed(implementation.plugin_name, hook, f"{answer!r} is not a part")
                yield implementation.plugin_name, answer
        except GmError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and implementation.plugin_name in BUILT_IN:
                raise refused(error) from error
            raise plugin_failed(implementation.plugin_name, hook, f"{type(error).__name__}: {error}") from error


def first(manager: pluggy.PluginManager, hook: str, **arguments: Any) -> Any:
    """Return the first answer to a hook.

    Raises:
        RunError[plugin-failed]: a plugin of another distribution raised another exception.
    """
    caller = getattr(manager.hook, hook)
    try:
        return caller(**arguments)
    except GmError:
        raise
    except Exception as error:
        codes = {getattr(impl.function, "__code__", None): impl.plugin_name for impl in caller.get_hookimpls()}
        frames = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
        name = [codes[code] for code in frames if code in codes][-1:]
        if not name or name[0] in BUILT_IN:
            raise
        raise plugin_failed(name[0], hook, f"{type(error).__name__}: {error}") from error


def each(manager: pluggy.PluginManager, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield plugin and answer for all plugins that answer a hook which ``first`` asks for one answer, in its order.

    Raises:
        RunError[plugin-failed]: a plugin of another distribution raised another exception.
    """
    for implementation in reversed(getattr(manager.hook, hook).get_hookimpls()):
        name = implementation.plugin_name
        try:
            answer = implementation.function(**{key: arguments[key] for key in implementation.argnames})
        except GmError:
            raise
        except Exception as error:
            if name in BUILT_IN:
                raise
            raise plugin_failed(name, hook, f"{type(error).__name__}: {error}") from error
        if answer is not None:
            yield name, answer


def notify(manager: pluggy.PluginManager, hook: str, *, failed: set[str] | None = None, **arguments: Any) -> None:
    """Notify all plugins; print a warning if one raises an exception.

    Args:
        failed: plugins that are not notified; those that fail are added.
    """
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if failed is not None and implementation.plugin_name in failed:
            continue
        try:
            implementation.function(**{key: arguments[key] for key in implementation.argnames})
        except Exception as error:  # a plugin may raise anything
            console.warning(f"plugin {implementation.plugin_name!r} did not record this run: {error}")
            if isinstance(error, GmError) and error.hint:
                console.info(f"gentoomuch:     hint: {error.hint}")
            if failed is not None:
                failed.add(implementation.plugin_name)


def parts(manager: pluggy.PluginManager, **arguments: Any) -> tuple[tuple[str, Part], ...]:
    """Return all parts of a run."""
    return tuple(gather(manager, "gm_parts", **arguments))


def entry_points(cache: Path) -> list[tuple[str, str]]:
    """Return name and ``module:attribute`` of the plugins of other distributions, sorted.

    Scanning 300 distributions takes longer than writing a configroot, so the result is cached until a directory on
    sys.path changes.
    """
    stamp = [sys.version, *(f"{folder} {_stamp(folder)}" for folder in sys.path if folder)]
    results = Cache(cache)
    if (cached := results.load("plugins", _parse_plugins, stamp)) is not None:
        return cached
    start = time.time_ns()
    plugins = sorted({(entry.name, entry.value) for entry in metadata.entry_points(group=hookspec.GROUP)})
    if all(_stamp(folder) < start - _RACY for folder in sys.path if folder):
        results.store("plugins", plugins, stamp)
    return plugins


def _parse_plugins(value: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(str(name), str(place)) for name, place in value]


def _stamp(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


class Dispatcher:
    """Calls the hooks of the plugins of one run.

    Attributes:
        failed: plugins that are no longer notified, because they raised an exception.
    """

    def __init__(self, plugins: pluggy.PluginManager, plan: "Plan", settings: "Settings") -> None:
        self.plugins, self.plan, self.settings = plugins, plan, settings
        self.failed: set[str] = set()

    def first(self, hook: str, **arguments: Any) -> Any:
        """Return the first answer to a hook.

        Raises:
            RunError[plugin-failed]: a plugin of another distribution raised an exception.
        """
        return first(self.plugins, hook, plan=self.plan, settings=self.settings, **arguments)

    def check(self, hook: str, **arguments: Any) -> None:
        """Call a hook by which a plugin may end a run or a package.

        Raises:
            GmError: a plugin raised it, or one returned a value or raised another exception.
        """
        for plugin, answer in gather(self.plugins, hook, plan=self.plan, settings=self.settings, **arguments):
            raise plugin_failed(plugin, hook, f"it returned {answer!r}; to reject something it must raise a GmError")

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call a hook of all plugins; after an exception a plugin is not notified again."""
        notify(self.plugins, hook, failed=self.failed, plan=self.plan, settings=self.settings, **arguments)

    def make_reject(self, listener: "RunListener | None" = None) -> "Reject":
        """Return a function that asks all plugins whether a binary package may be used.

        Args:
            listener: is notified of each package that is rejected.
        """

        def reject(binpkg: "Binpkg") -> str | None:
            reason: str | None = self.first("gm_reject_binpkg", binpkg=binpkg)
            if reason and listener is not None:
                listener.on_binpkg_rejected(binpkg, reason)
            return reason

        return reject
