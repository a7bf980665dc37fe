"""Put a root in its place: whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.roots import steps
from gentoomuch_portage.roots.errors import RootTaken
from gentoomuch_portage.roots.removing import clear

_PREFIX = ".gentoomuch-"


@contextmanager
def placed(root: Path) -> Iterator[Path]:
    """A fresh folder beside a root; when the block ends well it is the root, otherwise it is gone.

    What a killed run has left there is removed first.

    Raises:
        RootTaken: the root holds something, or is a mount point, which no rename can replace.
        NoPrivilege: the folder above cannot be written.
    """
    refuse(root)
    files.ensure(root.parent)
    prefix = f"{_PREFIX}{root.name}-"
    for left in [one for one in root.parent.iterdir() if one.name.startswith(prefix)]:
        _remove_dead(left)
    with files.fresh_folder(root.parent, prefix=prefix) as fresh:
        try:
            yield fresh
            refuse(root)
            fresh.rename(root)  # in one folder: into another, only its owner could move it
        finally:
            clear(fresh)


def refuse(root: Path) -> None:
    """Refuse a root that is there already; an empty folder is none.

    Raises:
        RootTaken: it is.
    """
    if os.path.ismount(root):
        raise RootTaken(root, "is a mount point", remedy="name a folder below it as the profile's root")
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise RootTaken(root, "is no folder", remedy=f"look at it, then remove it: ls -ld {root}")
    if root.is_dir() and any(root.iterdir()):
        another = "name another root in the profile"
        remedy = f"gentoomuch root rm NAME, or {another}" if steps.is_root(root) else another
        raise RootTaken(root, "holds something already", remedy=remedy)


def _remove_dead(left: Path) -> None:
    with files.owned(left) as ours:
        if ours:
            clear(left)
