"""Remove a root, never through a mount."""

import os
import shutil
import sys
from pathlib import Path

from gentoomuch_portage import run
from gentoomuch_portage.containers.layout import mounted
from gentoomuch_portage.roots.errors import MountedRoot


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
        owner = (sys.executable, "-P", "-m", "gentoomuch_portage.containers.owner") if os.geteuid() else ()
        run.run([*owner, "rm", "-rf", "--one-file-system", "--", str(folder)], keep=True)
