"""The roots of all profiles: which are there, and what state they are in.

Remove a root, never through a mount.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import process
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cross import stands
from gentoomuch_portage.containers.overlay import mounted
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.roots import bootstrap
from gentoomuch_portage.roots.errors import MountedRoot


class Root(NamedTuple):
    """A root of a profile."""

    profile: str
    root: Path
    state: str
    """``missing``, ``unfinished``; ``stands`` where it runs emerge by itself; ``filled`` where it does not; ``closed``
    where this user cannot look."""
    packages: int
    """How many are installed in it."""
    kept: tuple[str, ...]
    """Fresh roots of the profile that have a name."""


def roots(settings: Settings, eprefix: str) -> Iterator[Root]:
    """Every profile that can be read and has a root of its own, or kept fresh roots."""
    for name in config_profile.names(settings):
        try:
            root = config_profile.read(settings, name).root
        except GmError:
            continue  # profile ls tells what is wrong with it
        names = kept(settings, name)
        if root != Path("/") or names:
            yield Root(name, root, *_looked_at(root, eprefix), names)


def _looked_at(root: Path, eprefix: str) -> tuple[str, int]:
    """The state of a root, and how many packages are in it."""
    vdb = Path(f"{str(root).rstrip('/')}{eprefix}") / "var/db/pkg"
    try:
        return _state(root), sum(1 for one in vdb.glob("*/*") if (one / "PF").is_file())
    except PermissionError:
        return "closed", 0


def _state(root: Path) -> str:
    if not root.is_dir():
        return "missing"
    if bootstrap.begun(root):
        return "unfinished"
    return "stands" if stands(root) else "filled"


def kept(settings: Settings, name: str) -> tuple[str, ...]:
    """The fresh roots of a profile that were kept, by name."""
    folder = settings.state / name / "roots"
    return tuple(sorted(one.name for one in folder.iterdir() if one.is_dir())) if folder.is_dir() else ()


def unmounted(folder: Path) -> None:
    """Make sure that nothing is mounted in a folder, nor on it.

    Raises:
        MountedRoot: something is.
    """
    real = folder.resolve()
    for point in mounted():
        if point.is_relative_to(real) and point != Path("/"):
            raise MountedRoot(folder, point)


def clear(folder: Path) -> None:
    """Remove a folder of ours, as the users that it has where it has several; nothing where it is gone.

    Raises:
        MountedRoot: something is mounted in it.
        ProgramFailed: what other users own could not be removed.
    """
    if not os.path.lexists(folder):
        return
    unmounted(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        owner = (sys.executable, "-P", "-m", "gentoomuch_portage.containers.root_helper") if os.geteuid() else ()
        process.run([*owner, "rm", "-rf", "--one-file-system", "--", str(folder)], keep=True)
