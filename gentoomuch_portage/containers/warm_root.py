# SPDX-License-Identifier: GPL-2.0-or-later
"""Warm roots: the changes of a container that installed binary packages, cached for later builds with the same ones.

They are in ``cache/containers/warm/KEY``. Containers mount them read-only below their own changes.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import build, composed, lifecycle, resolution
from gentoomuch_portage.containers.host_paths import Places
from gentoomuch_portage.containers.project_root import installed_stamp
from gentoomuch_portage.errors import RunError
from gentoomuch_portage.plan.plan import Plan

_FOLDER = "warm"
_VERSION = "1"
"""Part of every key: another version of this module divides the changes in another way."""


class Installable(NamedTuple):
    """A binary package to install."""

    cpv: str
    build_id: int
    """0 if it has none."""
    sha256: str


class WarmRoot(NamedTuple):
    """The upper layers of a container that has installed packages."""

    folder: str
    """Empty if there is nothing to install."""
    is_reused: bool
    """Whether an earlier build has created it."""


def dependencies_not_installed(names: Iterable[str], status: int) -> RunError:
    """The dependencies of a build cannot be installed in its container; emerge has printed the reason."""
    return RunError(
        f"cannot install the dependencies {' '.join(names)} in the container: emerge ended with {status}",
        code="dependencies-not-installed",
        hint="pass all packages that these depend on with --with",
    )


def open_warm_root(plan: Plan, settings: Settings, kind: str, packages: Sequence[Installable]) -> WarmRoot:
    """Return the warm root of some packages; install them in a new one if the cache has none.

    Args:
        plan: with a PKGDIR that contains exactly these packages.
        kind: of the containers that use it, as kinds have different users.

    Raises:
        RunError[dependencies-not-installed]: emerge fails, or installs other packages.
        GmError: the container cannot be created.
        KeyboardInterrupt: Ctrl-C ended it.
    """
    if not packages:
        return WarmRoot("", False)
    above = fs.ensure(lifecycle.ensure_directory(settings.cache) / _FOLDER, mode=0o700, cache=settings.cache)
    lifecycle.remove_trees(composed.find_unused(above))
    places = build.with_logdir(Places.load(plan, settings), plan.profile)
    folder = above / _key(plan, places, kind, packages)
    if folder.is_dir():
        os.utime(folder)
        return WarmRoot(str(folder), True)
    with lifecycle.run_directory(settings.cache) as run:
        uppers = fs.ensure(run / _FOLDER, mode=0o700)
        _install(plan, places, kind, run, packages)
        try:
            uppers.rename(folder)
        except OSError:
            if not folder.is_dir():  # another run was faster
                raise
    return WarmRoot(str(folder), False)


def _key(plan: Plan, places: Places, kind: str, packages: Iterable[Installable]) -> str:
    """Return a digest of what a warm root depends on: the packages, the profile, and what is installed below it."""
    base = installed_stamp(places.eprefix / "var/db/pkg")
    lines = (_VERSION, kind, plan.profile, plan.configroot, base, *sorted(map(repr, packages)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _install(plan: Plan, places: Places, kind: str, run: Path, packages: Iterable[Installable]) -> None:
    cpvs = sorted(package.cpv for package in packages)
    options = ("--ignore-default-opts", "--oneshot", "--usepkgonly", "--quiet", "--getbinpkg=n")
    installing = replace(plan, arguments=(*options, *(f"={cpv}" for cpv in cpvs)))
    with build.recording(installing, places, run, resolves=True, builds=False):
        status = build.run_container(installing, places, kind, run, build.CONFIRMED, uppers=run / _FOLDER)
    merges = {(merge.cpv, merge.build_id) for merge in resolution.load(run).merges}
    if status or merges != {(package.cpv, package.build_id) for package in packages}:
        raise dependencies_not_installed(cpvs, status)
