# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of binary packages by name: Portage reads and writes the entries of one name instead of the whole index.

This module is the switch: GM_INDEX_BY_NAME=0 turns it off. A run imports the rest, and ``pkgindex``, as soon as Portage
opens a PKGDIR that has shards, or loads the packages of a binhost.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from portage.dbapi.bintree import binarytree

from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.patching import swapped

VARIABLE = "GM_INDEX_BY_NAME"
"""The environment variable that is ``0`` to let Portage read and write whole indexes."""
UseShards = Callable[[], AbstractContextManager[object]]
"""Returns a context in which shards are used; imports what that needs."""


_STAMP = Path("gm-index/stamp")
"""Path below PKGDIR of a file that only a directory with shards has. Source: ``pkgindex.FOLDER`` and ``STAMP``."""


def is_on() -> bool:
    """Whether indexes may be read and written by name."""
    return os.environ.get(VARIABLE, "") != "0" and private_api.provides(private_api.INDEX)


@contextmanager
def by_name(use_shards: UseShards) -> Iterator[None]:
    """Use the shards of PKGDIR while the block runs.

    Args:
        use_shards: called if Portage opens a PKGDIR that has shards.
    """
    if not is_on():
        yield
        return
    with ExitStack() as stack:
        switch = _Switch(stack, use_shards)
        for name in ("_populate_local", "_pkgindex_write"):
            stack.enter_context(swapped(binarytree, name, switch.wrap(name, getattr(binarytree, name))))
        yield


class _Switch:
    """Turns the index by name on, once, if a tree has shards."""

    def __init__(self, stack: ExitStack, use_shards: UseShards) -> None:
        self._stack, self._use_shards, self._is_on = stack, use_shards, False

    def wrap(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of a tree that checks for shards before it does its work."""

        @functools.wraps(plain)
        def checked(tree: Any, *args: Any, **named: Any) -> Any:
            if self._is_on or not (tree.pkgdir / _STAMP).exists():
                return plain(tree, *args, **named)
            self._is_on = True
            self._stack.enter_context(self._use_shards())
            return getattr(tree, name)(*args, **named)

        return checked
