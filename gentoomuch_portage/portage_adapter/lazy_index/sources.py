# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources of a shelf for packages of binhosts."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from portage.versions import catpkgsplit

from gentoomuch_portage.pkgindex.entry import BadIndex
from gentoomuch_portage.pkgindex.sorted_index import SortedIndex
from gentoomuch_portage.portage_adapter.binhost_indexes import BinhostIndexes, Entry, Kept
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Shelf
from gentoomuch_portage.portage_adapter.patching import swapped


class Base:
    """The entries that Portage had read before the index was used by name."""

    def __init__(self, shelf: Shelf, kept: Kept) -> None:
        self._views = [(view, dict(dict.items(view))) for view in shelf.views]
        self._kept, self._withheld = kept, dict(kept)

    def put(self, name: str) -> None:
        """Do nothing, since the entries are loaded."""

    def put_all(self) -> None:
        """Restore all entries."""
        for view, items in self._views:
            dict.update(view, items)
        self._kept.update(self._withheld)

    def names(self) -> Iterable[str]:
        """Return all names, in Portage's order."""
        return self._views[0][1]


class Given:
    """Pass some entries of an index to Portage's own function."""

    def __init__(self, tree: Any, index: SortedIndex, through: Callable[[], None]) -> None:
        self._tree, self.through = tree, through
        parsed = tree._new_pkgindex()
        parsed.readHeader(io.StringIO(index.header.decode("utf-8", "replace")))
        self._header = parsed.header

    def read(self, text: bytes) -> list[Entry]:
        """Parse entries with Portage."""
        index = self._tree._new_pkgindex()
        index.header.update(self._header)
        index.readBody(io.StringIO(text.decode("utf-8", "replace")))
        return list(index.packages)

    def over(self, entries: list[Entry]) -> bool:
        """Let Portage add entries; return whether it read them."""
        looked, new = Looked(entries), self._tree._new_pkgindex

        def given() -> Any:
            index = new()
            index.header.update(self._header)
            index.packages, index.read = looked, lambda _: None
            return index

        with swapped(self._tree, "_new_pkgindex", given):
            self.through()
        return looked.at


class Looked(list[Any]):
    """A list of entries that records whether it was iterated."""

    at = False

    def __iter__(self) -> Iterator[Any]:
        self.at = True
        return super().__iter__()


class Remote:
    """The packages of a binhost."""

    def __init__(
        self, shelf: Shelf, given: Given, index: SortedIndex, indexes: BinhostIndexes, *, chosen: bool
    ) -> None:
        """Load no entries yet.

        Args:
            chosen: whether options of the user select the packages of this binhost.
        """
        self._shelf, self._given, self._index, self._chosen = shelf, given, index, chosen
        self._indexes, self._kept = indexes, indexes.kept

    def put(self, name: str) -> None:
        """Add all packages of ``cat/pkg`` to the dictionaries."""
        text = self._index.of_name(name)
        if entries := [entry for entry in self._given.read(text) if name_of(entry["CPV"]) == name]:
            # This name has no cached results yet, and those of other names remain valid.
            with swapped(self._shelf.tree.dbapi, "_clear_cache", lambda: None):
                self._over(entries)

    def put_all(self) -> None:
        """Add all packages to the dictionaries; if the index has changed, Portage reads the new one."""
        try:
            entries = self._given.read(self._index.entries())
        except (OSError, BadIndex):
            self._indexes.read_whole(self._shelf.tree, self._given.through)
        else:
            self._over(entries)

    def names(self) -> Iterable[str]:
        """Return all names, in Portage's order."""
        if self._chosen:
            raise BadIndex("Packages", "which names are taken from it shows when all of it is read")
        return self._index.names()

    def _over(self, entries: list[Entry]) -> None:
        self._given.over(entries)
        self._indexes.hold(self._shelf.tree, entries, self._kept)


class Whole:
    """A binhost whose index Portage has read as a whole, while others are read by name."""

    def __init__(self, tree: Any, entries: list[Entry], indexes: BinhostIndexes) -> None:
        self._tree, self._entries, self._indexes, self._kept = tree, entries, indexes, indexes.kept

    def put(self, name: str) -> None:
        """Do nothing, since the entries are loaded."""

    def put_all(self) -> None:
        """Restore all entries. Source: binarytree._populate_remote_repo."""
        dbapi = self._tree.dbapi
        for entry in self._entries:
            if not dbapi.cpv_exists(entry["CPV"]):
                self._tree._remotepkgs[dbapi._instance_key(entry["CPV"])] = entry
                dbapi.cpv_inject(entry["CPV"])
        self._indexes.hold(self._tree, self._entries, self._kept)

    def names(self) -> Iterable[str]:
        """Return all names, in Portage's order."""
        return (entry["CPV"].cp for entry in self._entries)


def name_of(cpv: str) -> str:
    """Return ``cat/pkg`` of a cpv; empty if Portage does not accept the cpv."""
    fields = catpkgsplit(cpv)
    return f"{fields[0]}/{fields[1]}" if fields else ""
