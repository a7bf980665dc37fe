# SPDX-License-Identifier: GPL-2.0-or-later
"""Copy what a root with its own Portage has fetched into DISTDIR, as new plain files of the host.

The emerge of such a root is not the host's, so that it writes to no directory of the host. Portage checks the content
of the files against the Manifest of their package before it uses them.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path

STAGED = "distfiles"
"""In the directory of a run: what the root has written to DISTDIR."""
_UNFINISHED = (".__download__", ".portage_lockfile", "._checksum_failure_.")
"""Parts of names. Source: portage.package.ebuild.fetch."""


def take_over(run: Path, distdir: Path) -> list[str]:
    """Copy files that are new or have another size, and return their names.

    Args:
        run: the directory of the run.

    Raises:
        OSError: DISTDIR cannot be written.
    """
    staged = run / STAGED
    if not staged.is_dir():
        return []
    top = os.open(staged, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        names = sorted(os.listdir(top))  # noqa: PTH208 - of a descriptor
        return [name for name in names if _is_distfile_name(name) and _take(name, top, distdir)]
    finally:
        os.close(top)


def _is_distfile_name(name: str) -> bool:
    return name.isprintable() and not name.startswith(".") and not any(part in name for part in _UNFINISHED)


def _take(name: str, top: int, distdir: Path) -> bool:
    status = os.stat(name, dir_fd=top, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not status.st_size:
        return False
    target = distdir / name
    if os.path.lexists(target) and target.lstat().st_size == status.st_size:
        return False
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=top)
    with os.fdopen(source, "rb") as fetched:
        number, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=distdir)
        try:
            with os.fdopen(number, "wb") as copy:
                shutil.copyfileobj(fetched, copy, 1 << 20)
                if not os.geteuid():
                    os.fchown(number, -1, distdir.stat().st_gid)
                os.fchmod(number, 0o664)  # as Portage
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink()
            raise
    return True
