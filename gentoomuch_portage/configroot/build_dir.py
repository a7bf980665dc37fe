# SPDX-License-Identifier: GPL-2.0-or-later
"""The directories that runs build in, below PORTAGE_TMPDIR."""

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage import console, fs
from gentoomuch_portage.errors import MachineError, NoPrivilege, cannot_write
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter import config
else:
    config = LazyModule("gentoomuch_portage.portage_adapter.config")


def no_build_folder(folder: Path) -> MachineError:
    """The directory of PORTAGE_TMPDIR does not exist, for example because it is not mounted."""
    what = f"build directory {folder} does not exist"
    return MachineError(what, code="no-build-folder", hint="mount or create PORTAGE_TMPDIR")


_FALLBACK = "fallback-tmpdir"
"""Below the cache: used if another user owns the directory that runs use otherwise."""


def choose_folder(above: str, profile: str, cache: Path) -> str:
    """Return PORTAGE_TMPDIR for runs of a profile.

    A missing PORTAGE_TMPDIR is returned unchanged: emerge rejects it when it needs it. Every user can create files in
    /var/tmp; if another user has created our directory there, a directory below the cache is used.
    """
    if not Path(above).is_dir():
        return above
    own = Path(above, _name())
    return str((own if not os.path.lexists(own) or fs.is_own(own) else cache / _FALLBACK) / profile)


def _name() -> str:
    return f"gentoomuch-{os.geteuid()}"


def container_folder(above: Path, run: Path) -> Path:
    """Return PORTAGE_TMPDIR of a container: ``ABOVE/gentoomuch-RUN/tmp``.

    The container owns it and can change its mode. ``gentoomuch-RUN`` is outside of the container, so that no build can
    change its mode (0700).

    Args:
        above: the host's PORTAGE_TMPDIR.
        run: the run's own directory, whose name no other user can guess before it exists.
    """
    return above / f"gentoomuch-{run.name}" / "tmp"


def make(plan: Plan) -> None:
    """Create the build directory of a plan, if this user can; --pretend does not need it.

    Raises:
        NoPrivilege: another user owns it.
    """
    folder = Path(plan.env["PORTAGE_TMPDIR"])
    if folder.parent.name == _FALLBACK:
        reason = _unusable(Path(_tmpdir(plan), _name()))
        console.warning(f"{reason.message}: building in {folder} instead (hint: {reason.hint})")
    if folder.parent.name in {_name(), _FALLBACK} and os.access(folder.parent.parent, os.W_OK):
        fs.private_folder(folder.parent)
        fs.private_folder(folder)


def _tmpdir(plan: Plan) -> str:
    """Return the host's PORTAGE_TMPDIR."""
    return os.environ.get("PORTAGE_TMPDIR") or config.load(Path(plan.configroot)).values["PORTAGE_TMPDIR"]


def _unusable(folder: Path) -> MachineError:
    """Return why runs cannot build in a directory of PORTAGE_TMPDIR."""
    if os.statvfs(folder.parent).f_flag & os.ST_RDONLY:
        return cannot_write(folder, OSError(errno.EROFS, os.strerror(errno.EROFS)))
    return NoPrivilege(f"{folder} is not a directory that this user alone can write to", hint=fs.inspect_hint(folder))


def check_exists(above: Path) -> None:
    """Check that the host's PORTAGE_TMPDIR exists; a container would create it below an empty mount point.

    Raises:
        MachineError[no-build-folder]: it does not exist.
    """
    if not above.is_dir():
        raise no_build_folder(above)
