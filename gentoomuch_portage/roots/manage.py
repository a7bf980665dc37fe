# SPDX-License-Identifier: GPL-2.0-or-later
"""List the roots of all profiles, and remove roots, but never through a mount point."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, process, startup
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cross import has_own_portage
from gentoomuch_portage.containers.overlay import mount_points
from gentoomuch_portage.errors import GmError, ProgramFailed, explain_failure
from gentoomuch_portage.roots import bootstrap
from gentoomuch_portage.roots.errors import mounted_root


class Root(NamedTuple):
    """A root of a profile."""

    profile: str
    root: Path
    state: str
    """``missing``, ``unfinished``, ``bootable`` if it can run its own emerge, ``partial`` if not; ``closed`` if this
    user cannot read it."""
    packages: int
    """The number of installed packages."""
    fresh_roots: tuple[str, ...]
    """The names of fresh roots of the profile."""


def roots(settings: Settings, eprefix: str) -> Iterator[Root]:
    """Yield the root of every valid profile that has one of its own, or fresh roots with a name."""
    for name in config_profile.names(settings):
        try:
            root = config_profile.read(settings, name).root
        except GmError:
            continue  # profile ls reports the error
        names = kept_roots(settings, name)
        if root != Path("/") or names:
            yield Root(name, root, *_inspect(root, eprefix), names)


def _inspect(root: Path, eprefix: str) -> tuple[str, int]:
    """Return the state of a root, and the number of its packages."""
    vdb = Path(f"{str(root).rstrip('/')}{eprefix}") / "var/db/pkg"
    try:
        return _state(root), sum(1 for package in vdb.glob("*/*") if (package / "PF").is_file())
    except PermissionError:
        return "closed", 0


def _state(root: Path) -> str:
    if not root.is_dir():
        return "missing"
    if bootstrap.is_begun(root):
        return "unfinished"
    return "bootable" if has_own_portage(root) else "partial"


def kept_roots(settings: Settings, name: str) -> tuple[str, ...]:
    """Return the names of the fresh roots of a profile."""
    folder = settings.state / name / "roots"
    return tuple(sorted(root.name for root in folder.iterdir() if root.is_dir())) if folder.is_dir() else ()


def check_unmounted(folder: Path, verb: str = "remove") -> None:
    """Check that a directory neither contains a mount point nor is one.

    Args:
        verb: what cannot be done with it otherwise.

    Raises:
        RunError[mounted-root]: it does, or is.
    """
    real = folder.resolve()
    for point in mount_points():
        if point.is_relative_to(real) and point != Path("/"):
            raise mounted_root(folder, point, verb)


def clear(folder: Path) -> None:
    """Remove a directory of ours if it exists, also files of other users of a rootless container.

    Raises:
        RunError[mounted-root]: it contains a mount point.
        ReadOnly: the file system is read-only.
        ProgramFailed: files of other users could not be removed.
    """
    if not os.path.lexists(folder):
        return
    check_unmounted(folder)
    with suppress(RecursionError):  # it is too deep for Python
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        as_owner = startup.python("containers.root_helper") if os.geteuid() else ()
        env = {**os.environ, "LC_ALL": "C"}
        try:
            process.run([*as_owner, "rm", "-rf", "--one-file-system", "--", str(folder)], env=env, keep=True)
        except ProgramFailed as error:
            raise explain_failure(error, folder, fs.inspect_hint(folder)) from error
