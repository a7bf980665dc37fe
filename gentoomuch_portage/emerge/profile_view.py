# SPDX-License-Identifier: GPL-2.0-or-later
"""A resolved profile, for commands that read a profile and do not run emerge."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pluggy import PluginManager

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.configroot.layers import Composed, Source, compose, list_sources
from gentoomuch_portage.emerge.prepare import prepare
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plan.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A profile with its plan and composed configuration, which stays on disk while the view is open."""

    profile: Profile
    planned: Plan
    """The plan before its configroots were written: without paths that differ between profiles."""
    plan: Plan
    """The plan of ``gm-emerge --gm-profile=NAME``, with its configroots on disk."""
    sources: tuple[Source, ...]
    """The host's directory, if the profile is based on it, then each layer once."""
    composed: Composed
    locks: tuple[int, ...]
    """Descriptors that keep the configroots on disk."""
    plugins: PluginManager
    """The plugins of a run for the profile."""

    @property
    def layers(self) -> tuple[Source, ...]:
        """The layers, without the host's directory."""
        return tuple(source for source in self.sources if source.inside is not None)

    @property
    def etc_portage(self) -> Path:
        """The composed ``etc/portage``."""
        return Path(self.plan.configroot) / "etc/portage"


def environment(view: View) -> dict[str, str]:
    """Return the variables that other programs of Portage need for a profile, and create its build directory.

    Raises:
        NoPrivilege: that directory belongs to another user.
    """
    build_dir.make(view.plan)
    return {"ROOT": view.plan.root, "SYSROOT": "/", **view.plan.env, "PORTAGE_CONFIGROOT": view.plan.configroot}


@contextmanager
def load_view(
    settings: Settings, name: str, plugins: Iterable[tuple[str, object]] = (), *, without: str = ""
) -> Iterator[View]:
    """Load a profile, and keep its configroots on disk while the block runs.

    Args:
        without: plugins that are not used, separated by commas.

    Raises:
        GmError: the profile, one of its files, or a plugin is not valid.
    """
    with closing(prepare(Request(arguments=(), options={"no": without}), settings, name, plugins)) as prepared:
        plan = prepared.plan
        host = settings.host if plan.base == "host" else None
        sources = tuple(dict.fromkeys(list_sources(plan.parts, host=host, config=settings.config)))
        yield View(
            profile=prepared.profile or config_profile.read(settings, name),
            planned=prepared.planned,
            plan=plan,
            sources=sources,
            composed=compose(sources, plan.parts),
            locks=prepared.locks,
            plugins=prepared.plugins,
        )
