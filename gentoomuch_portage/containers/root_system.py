"""The box that is a root of its own: a machine that stands in a folder, with its own Portage and Python."""

import os
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.containers import host_paths
from gentoomuch_portage.containers.backends import TOLD, TOLD_FROM
from gentoomuch_portage.containers.helpers import words
from gentoomuch_portage.containers.host_overlay import PACKAGES
from gentoomuch_portage.containers.host_paths import Places, environment, modules, proxies, resolving
from gentoomuch_portage.containers.overlay import copied
from gentoomuch_portage.containers.spec import Bind, Box, Dev, Mount, Overlay, Proc, Tmpfs

OURS = "/run/gentoomuch"
"""What is ours in such a box: nothing of it is seen in the root itself."""
_HOSTS = frozenset(
    {"VIRTUAL_ENV", "PORTAGE_OVERRIDE_EPREFIX", "PORTAGE_CONFIGROOT", "PORTAGE_RUN_PATH", "ROOT", "SYSROOT"}
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = "/usr/bin/python3"


def standing(
    places: Places,
    run: Path,
    root: Path,
    *,
    profile: str,
    configroot: Path,
    fetching: bool = False,
    uppers: Path | None = None,
) -> Box:
    """Lay it out.

    Args:
        run: the box's own folder.
        root: what becomes ``/``.
        configroot: the composed one; it stands at ``OURS/configroot``.
        fetching: with the network, and with DISTDIR and PKGDIR written for good.
        uppers: where what is written in the root is kept instead of there.
    """
    mounts: list[Mount] = [_top(root, uppers)]
    mounts += [Tmpfs("/tmp", 0o1777), Tmpfs("/run"), Dev(), Proc()]
    mounts += host_paths.mounts(places.repositories, places.settings.cache, run)
    mounts += _shared(places, run, fetching=fetching)
    mounts += [Bind(str(place), f"{OURS}/lib/{name}") for name, place in modules().items()]
    mounts.append(Bind(str(configroot), f"{OURS}/configroot"))
    mounts.append(Bind(str(places.settings.config), f"{OURS}/config"))
    mounts += _state(places.settings.state / profile, Path(OURS, "state", profile), uppers)
    if fetching:
        mounts += resolving()
    mounts.append(Bind(str(run / TOLD_FROM), TOLD))
    door = words("containers.init", PYTHON)
    env = {name: value for name, value in environment(os.environ).items() if name not in _HOSTS}
    env |= proxies(os.environ) if fetching else {}
    given = {
        "HOME": "/root", "PATH": _PATH, "PYTHONPATH": f"{OURS}/lib", "GM_CONFIG": f"{OURS}/config",
        "GM_STATE": f"{OURS}/state", "GM_CACHE": f"{OURS}/cache",
    }  # fmt: skip
    return Box(mounts=tuple(mounts), run=str(run), env={**env, **given}, door=door, network=fetching)


def _top(root: Path, uppers: Path | None) -> Mount:
    if uppers is None:
        return Bind(str(root), "/", writable=True)
    return Overlay(str(root), "/", str(uppers / "root"))


def _state(state: Path, target: Path, uppers: Path | None) -> Iterator[Mount]:
    """What emerge keeps for a profile; kept fresh roots lie there as well, and are nobody's affair in a box."""
    if uppers is None:
        yield Bind(str(state), str(target), writable=True)
        yield Tmpfs(f"{target}/roots")
    else:
        yield from copied(state, uppers, {state / "roots"}, target)


def _shared(places: Places, run: Path, *, fetching: bool) -> Iterator[Mount]:
    if fetching:
        yield Bind(str(places.distdir), str(places.distdir), writable=True)
        yield Bind(str(places.pkgdir), str(places.pkgdir), writable=True)
    else:
        yield Overlay(str(places.distdir), str(places.distdir), str(run / "upper/distfiles"))
        yield Overlay(str(places.pkgdir), str(places.pkgdir), str(run / PACKAGES))
