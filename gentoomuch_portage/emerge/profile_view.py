"""One profile with all that becomes of it, for commands that look at a profile and do not run emerge."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.configroot.layers import Composed, Source, compose, sources_of
from gentoomuch_portage.configroot.prepare import lay
from gentoomuch_portage.emerge import run
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plan.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A profile that is composed, and held as long as it is looked at."""

    profile: Profile
    asked: Plan
    """The plan before it was laid: without paths that are different for each profile anyway."""
    plan: Plan
    """The plan of ``gm-emerge --gm-profile=NAME`` without further words, its configroot on disk."""
    sources: tuple[Source, ...]
    """The host's folder, where it lies below, then each layer once."""
    composed: Composed
    locks: tuple[int, ...]
    """Descriptors; the configroots stay while they are open."""

    @property
    def layers(self) -> tuple[Source, ...]:
        """The layers alone."""
        return tuple(one for one in self.sources if one.inside is not None)

    @property
    def shown(self) -> Path:
        """The composed etc/portage."""
        return Path(self.plan.configroot) / "etc/portage"


def environment(view: View) -> dict[str, str]:
    """What programs of Portage besides emerge need to work for a profile; the folder that they build in is made.

    Raises:
        NoPrivilege: that folder is somebody else's.
    """
    build_dir.make(view.plan)
    return {"ROOT": view.plan.root, "SYSROOT": "/", **view.plan.env, "PORTAGE_CONFIGROOT": view.plan.configroot}


@contextmanager
def looked_at(
    settings: Settings, name: str, plugins: Iterable[tuple[str, object]] = (), *, without: str = ""
) -> Iterator[View]:
    """Compose a profile, and hold it for the length of the block.

    Args:
        without: a plugin that is left out.

    Raises:
        GmError: the profile, one of its files, or a plugin is wrong.
    """
    asked, _ = run.prepare(Request(words=(), said={"no": without}), settings, name, plugins)
    plan, locks = lay(asked, settings)
    try:
        host = settings.host if plan.base == "host" else None
        sources = tuple(dict.fromkeys(sources_of(plan.parts, host=host, config=settings.config)))
        yield View(
            profile=config_profile.read(settings, name),
            asked=asked,
            plan=plan,
            sources=sources,
            composed=compose(sources, plan.parts),
            locks=tuple(locks),
        )
    finally:
        for lock in locks:
            os.close(lock)
