"""Portage's locks on overlayfs, where a file that was copied up and a new link to it differ in their numbers.

Portage proves by such a link that a lock file is still there, because of NFS. Where the folder below holds the lock
file already, as that of a killed or a busy emerge, it would try for ever.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gentoomuch_portage.portage_adapter.swap import swapped


@contextmanager
def overlaid() -> Iterator[None]:
    """As long as the block runs, a lock file is there if its name leads to it."""
    import portage.locks

    with swapped(portage.locks, "_lockfile_was_removed", _removed):
        yield


def _removed(lock_fd: int, lock_path: str) -> tuple[bool, os.stat_result | None]:
    """Whether a lock file has lost its name; as in portage.locks, with what fstat says."""
    held = os.fstat(lock_fd)
    try:
        named = os.stat(lock_path)
    except FileNotFoundError:
        return True, None
    same = (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
    return (False, held) if same else (True, None)
