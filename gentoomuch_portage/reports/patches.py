"""The patch sets of profiles, held against their ebuilds, their sources, and what is installed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.binpkg_filter import user_patches as binpkg_filter_user_patches
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile, patch_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View, looked_at
from gentoomuch_portage.errors import BadPatchSet, GmError
from gentoomuch_portage.patches import check
from gentoomuch_portage.patches.check import Finding, World
from gentoomuch_portage.patches.digest import Package, applied, sums
from gentoomuch_portage.plan.plan import Patches
from gentoomuch_portage.portage_adapter import ebuilds
from gentoomuch_portage.portage_adapter import user_patches as portage_user_patches


@dataclass(frozen=True, slots=True)
class Told:
    """A finding, and the profiles that have it."""

    finding: Finding
    profiles: tuple[str, ...]


def examine(settings: Settings, names: Iterable[str]) -> list[Told]:
    """All findings of some profiles, each once, by file and line.

    Raises:
        GmError: a profile cannot be composed even without its patch sets.
    """
    found: dict[Finding, list[str]] = {}
    for name in names:
        for one in _of(settings, name):
            found.setdefault(one, []).append(name)
    return [Told(one, tuple(having)) for one, having in sorted(found.items())]


def _of(settings: Settings, name: str) -> Iterator[Finding]:
    profile = config_profile.read(settings, name)
    sets: list[Patches] = []
    for one in dict.fromkeys(profile.patches):
        try:
            sets.append(Patches(one, patch_folder(settings, profile, one)))
        except BadPatchSet as error:
            yield Finding(Path(error.path), error.line, "set", error.what)
    with looked_at(settings, name, without="patches") as view, world_of(view, settings) as world:
        yield from check.examined(sets, world)
    yield from _installed(settings, profile)


@contextmanager
def world_of(view: View, settings: Settings) -> Iterator[World]:
    """What patches of a profile are held against."""
    env = _environment(view)
    with ebuilds.opened(env) as opened:
        beside = view.shown / "patches"
        yield World(ebuilds=opened, env=env, beside=beside, config=settings.config, cache=settings.cache)


def _environment(view: View) -> dict[str, str]:
    return {**view.plan.env, "ROOT": view.plan.root, "SYSROOT": "/", "PORTAGE_CONFIGROOT": view.plan.configroot}


def _installed(settings: Settings, profile: Profile) -> Iterator[Finding]:
    """What is installed with other patches; nothing where the sets cannot even be composed: that was found."""
    try:
        with looked_at(settings, profile.name) as view:
            for one in portage_user_patches.changed_here(_environment(view)):
                yield _changed(view, profile, *one)
    except GmError:
        return


def _changed(view: View, profile: Profile, cpv: str, slot: str, recorded: str, _wanted: str) -> Finding:
    category, name, version, revision = portage_user_patches.parted(cpv)
    package = Package(category=category, name=name, version=version, revision=revision, slot=slot)
    ours = sums(applied(view.shown / "patches", package))
    told = binpkg_filter_user_patches.reason(recorded, {}, ours, profile.name)
    return Finding(profile.file, 0, "changed", f"{cpv} is installed, but {told}", cpv)
