# SPDX-License-Identifier: GPL-2.0-or-later
"""Create a root from archives, atomically: check them, unpack them to a temporary directory, and rename that."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gentoomuch_portage import console, fs
from gentoomuch_portage.containers import root_lock
from gentoomuch_portage.roots import bootstrap, unpack
from gentoomuch_portage.roots.errors import root_taken
from gentoomuch_portage.roots.manage import clear
from gentoomuch_portage.roots.unpack import entries
from gentoomuch_portage.roots.unpack.stream import Packed

_PREFIX = ".gentoomuch-"


@contextmanager
def placing(root: Path) -> Iterator[Path]:
    """Create a temporary directory beside a root; it becomes the root if the block succeeds, and is removed otherwise.

    Directories of killed runs are removed first.

    Raises:
        RunError[root-taken]: the root is not empty, or is a mount point, which cannot be renamed over.
        NoPrivilege: the directory above cannot be written.
    """
    check_free(root)
    root_lock.make_closed(root)
    prefix = f"{_PREFIX}{root.name}-"
    for left in [path for path in root.parent.iterdir() if path.name.startswith(prefix)]:
        _remove_unlocked(left)
    with fs.fresh_folder(root.parent, prefix=prefix) as fresh:
        try:
            yield fresh
            check_free(root)
            fresh.rename(root)  # within one directory: only its owner could move it to another one
        finally:
            clear(fresh)


def check_free(root: Path) -> None:
    """Check that a root does not exist yet, or is an empty directory.

    Raises:
        RunError[root-taken]: it exists.
    """
    if os.path.ismount(root):
        raise root_taken(root, "it is a mount point", hint="use a directory below it as the profile's root")
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise root_taken(root, "it is not a directory", hint=f"look at it, then remove it: ls -ld {root}")
    if root.is_dir() and any(root.iterdir()):
        another = "use another root in the profile"
        hint = f"gentoomuch root rm NAME, or {another}" if bootstrap.is_root(root) else another
        raise root_taken(root, "it is not empty", hint=hint)


def _remove_unlocked(folder: Path) -> None:
    with fs.try_lock(folder) as is_locked:
        if is_locked:
            clear(folder)


def install(
    layers: Sequence[Packed], root: Path, *, recheck: Callable[[], None] = lambda: None, quiet: bool = False
) -> None:
    """Create a root from one archive, or from the layers of an image.

    Args:
        recheck: called before the root is renamed; raises if the archives have changed.

    Raises:
        BadArchive: an archive is damaged or contains an entry that must not be unpacked; the root is unchanged.
        RunError[root-taken]: the root is not empty.
    """
    with console.progress("checking", sum(layer.size for layer in layers), quiet=quiet) as show:
        for layer in layers:
            entries.check(layer, lambda read: show("", read))
    with placing(root) as fresh:
        unpack.unpack(layers, fresh, quiet=quiet)
        recheck()
