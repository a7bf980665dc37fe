# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare a run: from a request to a plan whose configroots are on disk."""

import os
from collections.abc import Container, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pluggy import PluginManager

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cache import build_configroots
from gentoomuch_portage.errors import option_conflict
from gentoomuch_portage.plan.plan import Plan, make_plan
from gentoomuch_portage.plan.request import Request, plugin_disabled
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.plan import file as plan_file
else:
    plan_file = LazyModule("gentoomuch_portage.plan.file")

PROFILE_PLUGINS = frozenset({"audit", "binpkg", "cpu", "unmask"})
"""Plugins that a .gentoo directory is installed without if no profile is active: that is plain emerge."""
_PLUGINS_OF_OPTIONS = {"isolation": "isolation", "locked": "unmask", "unmask": "unmask"}
"""Options, and the plugins that implement them."""


class Prepared(NamedTuple):
    """A run that can be explained or executed. Close it to let its configroots be removed."""

    request: Request
    settings: Settings
    plugins: PluginManager
    profile: Profile | None
    """None if the plan was loaded from a file."""
    planned: Plan
    """The plan before its configroots were written: without paths that differ between profiles."""
    plan: Plan
    locks: tuple[int, ...]
    """Descriptors that keep the configroots on disk."""

    def close(self) -> None:
        """Release the configroots."""
        for lock in self.locks:
            os.close(lock)


def prepare(request: Request, settings: Settings, name: str, plugins: Iterable[tuple[str, object]] = ()) -> Prepared:
    """Plan a request, and write the configroots of the plan.

    Args:
        name: of the profile; empty if a .gentoo directory is installed without one.
        plugins: objects that are used besides the installed plugins.

    Raises:
        GmError: the profile, a file of the configuration, a plugin or the request is not valid.
    """
    loaded = plan_file.read(request) if "plan" in request.options else None
    without = loaded.disabled_plugins if loaded else request.without if name else request.without | PROFILE_PLUGINS
    _check_plugins_of_options(request, without)
    enabled = manager.make_manager(settings.cache, without=without, strict=settings.strict, also=plugins)
    profile = None
    if loaded is None:
        profile = config_profile.read(settings, name) if name else config_profile.host_alone("dotgentoo")
        parts = manager.parts(enabled, request=request, settings=settings, profile=profile)
        planned = replace(make_plan(request, profile, parts), without=",".join(sorted(without)))
    else:
        planned = loaded
    _check_configroot(request, planned)
    plan, locks = build_configroots(planned, settings)
    return Prepared(
        request=request,
        settings=settings,
        plugins=enabled,
        profile=profile,
        planned=planned,
        plan=plan,
        locks=tuple(locks),
    )


def _check_plugins_of_options(request: Request, without: Container[str]) -> None:
    """Reject an option whose plugin is disabled."""
    for option, plugin in _PLUGINS_OF_OPTIONS.items():
        if (
            option in request.options
            and plugin in without
            and (option, request.options[option]) != ("isolation", "none")
        ):
            raise plugin_disabled(option, plugin)


def _check_configroot(request: Request, plan: Plan) -> None:
    """Reject an argument of emerge that replaces the configroot of the profile."""
    for argument in request.arguments:
        if argument.startswith("--config-root"):
            raise option_conflict(argument, plan.profile)
