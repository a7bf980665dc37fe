"""Put a root in its place: whole, or not at all.

From archives to a root: all of it is looked at first, then unpacked beside, then put in place.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.roots import bootstrap, unpack
from gentoomuch_portage.roots.errors import RootTaken
from gentoomuch_portage.roots.manage import clear
from gentoomuch_portage.roots.unpack import entries
from gentoomuch_portage.roots.unpack.stream import Packed

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
    fs.ensure(root.parent)
    prefix = f"{_PREFIX}{root.name}-"
    for left in [one for one in root.parent.iterdir() if one.name.startswith(prefix)]:
        _remove_dead(left)
    with fs.fresh_folder(root.parent, prefix=prefix) as fresh:
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
        remedy = f"gentoomuch root rm NAME, or {another}" if bootstrap.is_root(root) else another
        raise RootTaken(root, "holds something already", remedy=remedy)


def _remove_dead(left: Path) -> None:
    with fs.owned(left) as ours:
        if ours:
            clear(left)


def place(
    layers: Sequence[Packed], root: Path, *, still: Callable[[], None] = lambda: None, quiet: bool = False
) -> None:
    """Make a root out of one archive, or out of the layers of an image.

    Args:
        still: raises where what was proven holds no longer; called before the root is put in place.

    Raises:
        BadArchive: an archive is damaged or holds what must not be unpacked; the root is as it was.
        RootTaken: the root holds something already.
    """
    with console.progress("looking at", sum(one.size for one in layers), quiet=quiet) as show:
        for one in layers:
            entries.check(one, lambda read: show("", read))
    with placed(root) as fresh:
        unpack.unpack(layers, fresh, quiet=quiet)
        still()
