# SPDX-License-Identifier: GPL-2.0-or-later
"""Check the patch sets of profiles with their ebuilds, sources and installed packages."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.binpkg_filter import user_patches as binpkg_filter_user_patches
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.profile import Profile, patch_folder
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.emerge.profile_view import View, load_view
from gentoomuch_portage.errors import BadPatchSet, GmError
from gentoomuch_portage.patches import check, sources
from gentoomuch_portage.patches.check import Finding, World
from gentoomuch_portage.plan.plan import Patches
from gentoomuch_portage.portage_adapter import atoms, ebuilds
from gentoomuch_portage.portage_adapter import user_patches as portage_user_patches
from gentoomuch_portage.portage_adapter.patch_digest import Package, find_applied, sums


@dataclass(frozen=True, slots=True)
class PatchFinding:
    """A finding, and the profiles that have it."""

    finding: Finding
    profiles: tuple[str, ...]


def check_patches(settings: Settings, names: Iterable[str]) -> list[PatchFinding]:
    """Return the findings of profiles, each once, sorted by file and line.

    Raises:
        GmError: a profile is invalid even without its patch sets.
    """
    by_finding: dict[Finding, list[str]] = {}
    for name in names:
        for finding in _check_profile(settings, name):
            by_finding.setdefault(finding, []).append(name)
    return [PatchFinding(finding, tuple(having)) for finding, having in sorted(by_finding.items())]


def _check_profile(settings: Settings, name: str) -> Iterator[Finding]:
    profile = config_profile.read(settings, name)
    sets: list[Patches] = []
    for patch_set in dict.fromkeys(profile.patches):
        try:
            sets.append(Patches(patch_set, patch_folder(settings, profile, patch_set)))
        except BadPatchSet as error:
            yield Finding(Path(error.path), error.line, "set", error.what)
    with load_view(settings, name, without="patches") as view, load_packages(view, settings) as world:
        yield from check.check_sets(sets, world)
    yield from _installed(settings, profile)


@contextmanager
def load_packages(view: View, settings: Settings) -> Iterator[World]:
    """Yield the packages to check the patches of a profile with."""
    env = _environment(view)
    with ebuilds.opened(env) as opened:
        beside = view.etc_portage / "patches"
        yield World(
            ebuilds=opened,
            env=env,
            beside=beside,
            config=settings.config,
            cache=settings.cache,
            prepare=sources.choose_prepare(view.plan, settings),
        )


def _environment(view: View) -> dict[str, str]:
    return {**view.plan.env, "ROOT": view.plan.root, "SYSROOT": "/", "PORTAGE_CONFIGROOT": view.plan.configroot}


def _installed(settings: Settings, profile: Profile) -> Iterator[Finding]:
    """Find packages installed with other patches; none if the patch sets are invalid, which is a finding already."""
    try:
        with load_view(settings, profile.name) as view:
            for changed in portage_user_patches.changed_here(_environment(view)):
                yield _changed(view, profile, *changed)
    except GmError:
        return


def _changed(view: View, profile: Profile, cpv: str, slot: str, recorded: str, _wanted: str) -> Finding:
    category, name, version, revision = atoms.parted(cpv)
    package = Package(category=category, name=name, version=version, revision=revision, slot=slot)
    ours = sums(find_applied(view.etc_portage / "patches", package))
    text = binpkg_filter_user_patches.reason(recorded, {}, ours, profile.name)
    return Finding(profile.file, 0, "changed", f"{cpv} is installed, but {text}", cpv)
