# SPDX-License-Identifier: GPL-2.0-or-later
"""Load the packages of binhosts by name, from verified indexes.

Portage's own function adds the entries of one name at a time: it gets an index with only these entries. So Portage
itself parses and rejects entries. In unusual cases it reads the whole index.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gentoomuch_portage.pkgindex.sorted_index import open_sorted
from gentoomuch_portage.portage_adapter.binhost_indexes import Back, BinhostIndexes, Entry, Kept
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Shelf, shelf_of
from gentoomuch_portage.portage_adapter.lazy_index.sources import Base, Given, Remote, Whole, name_of


class IndexesByName(BinhostIndexes):
    """The indexes of all binhosts, read by name if they are verified and sorted."""

    def load(self, tree: Any, place: Path, through: Callable[[], None], *, accepted: bool, chosen: bool) -> None:
        """Let a tree load the packages of a binhost by name, unless Portage did not use the given index."""
        index = open_sorted(place, name_of, accepted=accepted)
        if index is None:
            self.read_whole(tree, through)
            return
        given = Given(tree, index, through)
        looked: list[bool] = []
        self.read_whole(tree, lambda: looked.append(given.over([])))
        if looked[0]:
            shelf = _shelf(tree, self.kept)
            shelf.add(Remote(shelf, given, index, self, chosen=chosen))
            tree.dbapi._clear_cache()

    def read_whole(self, tree: Any, through: Callable[[], None]) -> list[Entry]:
        """Let Portage read the whole index of a binhost, perhaps between others that are read by name."""
        new = super().read_whole(tree, through)
        if new and (shelf := shelf_of(tree)):
            shelf.add(Whole(tree, new, self), there=True)
        return new

    def give_back(self, tree: Any, back: Back) -> None:
        """Add the rejected packages that no other binhost has, by name if the tree has a shelf."""
        if (shelf := shelf_of(tree)) is None:
            back.put_all()
            return
        shelf.add(back)
        for name in back.packages():
            shelf.read(name)


def _shelf(tree: Any, kept: Kept) -> Shelf:
    """Return the shelf of a tree; create it if all entries are loaded."""
    shelf = shelf_of(tree) or Shelf(tree)
    if tree._remotepkgs is not shelf.remotes:
        dict.update(shelf.remotes, tree._remotepkgs)
        tree._remotepkgs = shelf.remotes
    if not shelf.steps:
        shelf.add(Base(shelf, kept), there=True)
    return shelf
