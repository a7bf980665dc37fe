# SPDX-License-Identifier: GPL-2.0-or-later
"""Describe the container of a root that has its own Portage and Python."""

import os
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.containers import distfiles, host_paths, logs
from gentoomuch_portage.containers.backends import DESCRIPTION, DESCRIPTION_FILE
from gentoomuch_portage.containers.composed import accounts
from gentoomuch_portage.containers.helpers import command
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.containers.host_paths import Places, environment, module_paths, proxies, resolver_mounts
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Dev, Mount, Overlay, Proc, Tmpfs

OURS = "/run/gentoomuch"
"""Our files in such a container; they are not visible in the root itself."""
_HOSTS = frozenset(
    {"VIRTUAL_ENV", "PORTAGE_OVERRIDE_EPREFIX", "PORTAGE_CONFIGROOT", "PORTAGE_RUN_PATH", "ROOT", "SYSROOT"}
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGDIR = f"{OURS}/logs"
"""PORTAGE_LOGDIR in such a container, if the host has none."""
PYTHON = "/usr/bin/python3"
TMPDIR = "/var/tmp"
"""PORTAGE_TMPDIR in such a container."""


def own_system(
    places: Places,
    run: Path,
    root: Path,
    *,
    profile: str,
    configroot: Path,
    fetching: bool = False,
    uppers: Path | None = None,
) -> ContainerSpec:
    """Return the container of a root.

    Args:
        run: the directory of the run.
        root: what becomes ``/``.
        configroot: the composed one; its path in the container is ``OURS/configroot``.
        fetching: whether the container has the network.
        uppers: the directory that stores the changes of the root instead of the root itself.
    """
    mounts: list[Mount] = [_top(root, uppers)]
    mounts += [Tmpfs("/tmp", 0o1777), Tmpfs("/run"), Dev(), Proc()]
    mounts += host_paths.repository_mounts(places.repositories, places.settings.cache, run)
    mounts += _shared(places, run)
    mounts += [Bind(str(path), f"{OURS}/lib/{name}") for name, path in module_paths().items()]
    mounts.append(Bind(str(configroot), f"{OURS}/configroot"))
    mounts.append(Bind(str(places.settings.config), f"{OURS}/config"))
    mounts += [state_overlay(places.settings.state, profile, run), Tmpfs(f"{OURS}/state/{profile}/roots")]
    if fetching:
        mounts += resolver_mounts()
    scratch_source = str(build_dir.container_folder(places.tmpdir, run))
    mounts += [Bind(scratch_source, TMPDIR, writable=True), Bind(str(run / DESCRIPTION_FILE), DESCRIPTION)]
    env = {name: value for name, value in environment(os.environ, places.variables).items() if name not in _HOSTS}
    env |= proxies(os.environ) if fetching else {}
    env |= {
        "HOME": "/root", "PATH": _PATH, "PYTHONPATH": f"{OURS}/lib", "GM_CONFIG": f"{OURS}/config",
        "GM_STATE": f"{OURS}/state", "GM_CACHE": f"{OURS}/cache",
    }  # fmt: skip
    logdir = ""
    if places.logdir == host_paths.failure_logs(places, profile):
        mounts.append(Bind(str(run / logs.FOLDER), LOGDIR, writable=True))
        logdir = str(places.logdir)
    return ContainerSpec(
        mounts=tuple(mounts),
        run=str(run),
        env=env,
        init=command("containers.init", PYTHON),
        network=fetching,
        scratch=TMPDIR,
        scratch_source=scratch_source,
        logdir=logdir,
    )


def state_overlay(folder: Path, profile: str, run: Path) -> Overlay:
    """Return the state of a profile, copy on write: its changes are removed with the container, except the ledger."""
    return Overlay(str(folder / profile), f"{OURS}/state/{profile}", str(run / "state"))


def _top(root: Path, uppers: Path | None) -> Mount:
    if uppers is None:
        return Bind(str(root), "/", writable=True)
    return Overlay(str(root), "/", str(uppers / "root"), picks=accounts("etc/"))


def _shared(places: Places, run: Path) -> Iterator[Mount]:
    """Yield what runs share, copy on write also while fetching: the emerge of that root is not the host's."""
    yield Overlay(str(places.distdir), str(places.distdir), str(run / distfiles.STAGED))
    yield Overlay(str(places.pkgdir), str(places.pkgdir), str(run / PACKAGES))
