"""The box that is a copy-on-write view of this host: nothing that happens in it changes the host."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gentoomuch_portage.containers import host_paths, logs, private_files
from gentoomuch_portage.containers.backends import TOLD, TOLD_FROM
from gentoomuch_portage.containers.helpers import home, words
from gentoomuch_portage.containers.host_paths import Places, environment, interpreter, proxies, resolving
from gentoomuch_portage.containers.overlay import copied, covers, mounted
from gentoomuch_portage.containers.spec import Bind, Box, Dev, Mount, Overlay, Proc, Tmpfs

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "var")
_EMPTIED = Path("/var/tmp")
"""In a box it is a new one, with nothing of what others build or keep there, whatever is mounted below the host's."""
PACKAGES = "packages"
"""Below ``run``: where finished binary packages land, to be taken over by ``staging``."""


def view(
    places: Places, run: Path, *, root: Path = Path("/"), fetching: bool = False, uppers: Path | None = None
) -> Box:
    """Lay it out.

    Args:
        run: the box's own folder.
        root: ROOT; another than ``/`` is written for good, as it is what the user wants filled.
        fetching: with the network, and with DISTDIR and PKGDIR written for good.
        uppers: where what is written is kept, that in the root as well; in ``run`` by default.
    """
    env = environment(os.environ) | (proxies(os.environ) if fetching else {})
    mounts = [
        *_system(places, run, uppers or run / "upper"),
        Tmpfs("/tmp", 0o1777),
        Tmpfs("/run"),
        Tmpfs(str(_EMPTIED), 0o1777),
        Dev(),
        Proc(),
    ]
    for named in (places.settings.config, *sorted(interpreter(os.environ))):
        for folder in (named, named.resolve()):
            if not covers(mounts, folder):
                mounts.append(Bind(str(folder), str(folder)))
    mounts += host_paths.mounts(places.repositories, places.settings.cache, run)
    mounts += _shared(places, run, fetching=fetching)
    if places.logdir is not None:
        mounts.append(logs.mount(run, places.logdir))
    if root != Path("/"):
        kept = Bind(str(root), str(root), writable=True)
        mounts.append(kept if uppers is None else Overlay(str(root), str(root), str(uppers / "root")))
    if own := env.get("PORTAGE_RUN_PATH"):
        mounts.append(Tmpfs(own))
    if fetching:
        mounts += resolving()
    mounts += [Bind(str(places.tmpdir), str(places.tmpdir), writable=True), Bind(str(run / TOLD_FROM), TOLD)]
    door = words("containers.init")
    given = {"HOME": "/tmp", "PYTHONPATH": str(home()), "GM_CONFIG": str(places.settings.config), **_places(places)}
    made = Box(mounts=tuple(mounts), run=str(run), env={**env, **given}, door=door, network=fetching)
    return made._replace(mounts=_ordered(made.mounts))


def _places(places: Places) -> dict[str, str]:
    return {"GM_STATE": str(places.settings.state), "GM_CACHE": str(places.settings.cache)}


def _system(places: Places, run: Path, uppers: Path) -> Iterator[Mount]:
    """The system's folders, EPREFIX and our own, whatever else is mounted among them."""
    apart = {run.parent, *_kept(uppers, run), *(one for one in mounted() if one != Path("/"))}
    folders = [Path("/", name) for name in _SYSTEM]
    for own in (places.eprefix, places.settings.state, places.settings.cache):
        if own != Path("/") and own.is_dir() and not _among(own, folders):
            folders.append(own)
    looked = private_files.depths(places.eprefix, places.settings)
    for folder in folders:
        left = apart if folder.is_relative_to(_EMPTIED) else {*apart, _EMPTIED}
        yield from (private_files.without(one, looked) for one in copied(folder, uppers, left))
    for point in sorted(apart - {run.parent, uppers}):
        if _among(point, folders) and point.is_dir():
            laid = copied(point, uppers, {one for one in apart if one != point})
            yield from (private_files.without(one, looked) for one in laid)


def _among(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path lies in one of the folders that are laid."""
    above = [folder for folder in folders if path.is_relative_to(folder)]
    return any(folder.is_relative_to(_EMPTIED) for folder in above) or (
        bool(above) and not path.is_relative_to(_EMPTIED)
    )


def _kept(uppers: Path, run: Path) -> tuple[Path, ...]:
    return () if uppers.is_relative_to(run) else (uppers,)


def _shared(places: Places, run: Path, *, fetching: bool) -> Iterator[Mount]:
    """What runs share: written for good while fetching; otherwise what is new is taken over when it is finished."""
    for folder, upper in ((places.distdir, run / "upper/distfiles"), (places.pkgdir, run / PACKAGES)):
        if fetching:
            yield Bind(str(folder), str(folder), writable=True)
        else:
            yield Overlay(str(folder), str(folder), str(upper))


def _ordered(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Outer ones first, or they would hide the inner ones; of two at one place the later."""
    last = {one.target: one for one in mounts}
    return tuple(sorted(last.values(), key=lambda one: Path(one.target).parts))
