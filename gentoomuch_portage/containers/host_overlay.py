# SPDX-License-Identifier: GPL-2.0-or-later
"""Describe the container that is a copy-on-write view of this host: its changes do not reach the host."""

import os
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.containers import distfiles, host_paths, logs
from gentoomuch_portage.containers.backends import DESCRIPTION, DESCRIPTION_FILE
from gentoomuch_portage.containers.composed import accounts
from gentoomuch_portage.containers.helpers import command, import_path
from gentoomuch_portage.containers.host_files import View
from gentoomuch_portage.containers.host_paths import Places, environment, interpreter_paths, proxies, resolver_mounts
from gentoomuch_portage.containers.overlay import is_visible, mount_points
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Dev, Mount, Overlay, Proc, Tmpfs

PACKAGES = "packages"
"""In the directory of a run: finished binary packages, to be taken over by ``artifacts``."""


def host_view(
    places: Places,
    run: Path,
    *,
    root: Path = Path("/"),
    fetching: bool = False,
    staged: bool = False,
    uppers: Path | None = None,
) -> ContainerSpec:
    """Return the container.

    Args:
        run: the directory of the run.
        root: ROOT; if it is not ``/``, changes in it are written to the host, as it is to be filled.
        fetching: whether the container has the network, and writes what it fetches to the host.
        staged: whether it never writes that to the host: ``distfiles.take_over`` copies downloads.
        uppers: the directory that stores all changes, also those in the root; default: in ``run``.
    """
    env = environment(os.environ, places.variables) | (proxies(os.environ) if fetching else {})
    above = uppers or run / "upper"
    apart = frozenset({run.parent, above, *(point for point in mount_points() if point != Path("/"))})
    mounts: list[Mount] = [
        *View(places, above, apart, fetching=fetching).mounts(),
        Tmpfs("/tmp", 0o1777),
        Tmpfs("/run"),
        Tmpfs("/var/tmp", 0o1777),
        Dev(),
        Proc(),
    ]
    for path in sorted(interpreter_paths(os.environ)):
        for folder in (path, path.resolve()):
            if not is_visible(mounts, folder):
                mounts.append(Bind(str(folder), str(folder)))
    mounts += host_paths.repository_mounts(places.repositories, places.settings.cache, run)
    mounts += _shared(places, run, fetching=fetching, staged=staged)
    if places.logdir is not None:
        mounts.append(logs.mount(run, places.logdir))
    if root != Path("/"):
        mounts.append(
            Bind(str(root), str(root), writable=True)
            if uppers is None
            else Overlay(str(root), str(root), str(uppers / "root"), picks=accounts("etc/"))
        )
    if run_path := env.get("PORTAGE_RUN_PATH"):
        mounts.append(Tmpfs(run_path))
    if fetching:
        mounts += resolver_mounts()
    scratch_source = str(build_dir.container_folder(places.tmpdir, run))
    mounts.append(Bind(scratch_source, str(places.tmpdir), writable=True))
    mounts.append(Bind(str(run / DESCRIPTION_FILE), DESCRIPTION))
    env |= {"HOME": "/tmp", "PYTHONPATH": str(import_path()), **_own_variables(places)}
    return ContainerSpec(
        mounts=_sort(mounts),
        run=str(run),
        env=env,
        init=command("containers.init"),
        network=fetching,
        scratch=str(places.tmpdir),
        scratch_source=scratch_source,
    )


def _own_variables(places: Places) -> dict[str, str]:
    settings = places.settings
    strict = {"GM_STRICT": "1"} if settings.strict else {}
    return {
        "GM_CONFIG": str(settings.config),
        "GM_STATE": str(settings.state),
        "GM_CACHE": str(settings.cache),
    } | strict


def _shared(places: Places, run: Path, *, fetching: bool, staged: bool) -> Iterator[Mount]:
    """Yield what runs share: written directly while fetching; otherwise new files are taken over when finished."""
    downloads = run / (distfiles.STAGED if staged else "upper/distfiles")
    shared = {places.distdir: downloads, places.pkgdir: run / PACKAGES}
    if places.binhost_cache.is_dir():
        shared[places.binhost_cache] = run / "upper/binhost"
    for folder, upper in shared.items():
        if fetching and not staged:
            yield Bind(str(folder), str(folder), writable=True)
        else:
            yield Overlay(str(folder), str(folder), str(upper))


def _sort(mounts: list[Mount]) -> tuple[Mount, ...]:
    """Return outer mounts first, or they would hide inner ones; of two at one target the later."""
    last = {mount.target: mount for mount in mounts}
    return tuple(sorted(last.values(), key=lambda mount: Path(mount.target).parts))
