# SPDX-License-Identifier: GPL-2.0-or-later
"""Load the packages of binhosts as Portage does, from indexes that we fetch, without rejected packages."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.binpkg import Place, place_of

RejectReason = Callable[[Place], str]
"""Returns why a package was rejected; empty if it was not."""
Entry = dict[str, Any]
Kept = dict[Any, Entry]
"""Portage's key of an instance -> its entry in the index."""


class BinhostIndexes:
    """The indexes of all binhosts, read as a whole.

    Of equal packages Portage sees only that of the first binhost, so rejected packages are removed from it.
    """

    def __init__(self, is_rejected: RejectReason) -> None:
        """Load nothing yet."""
        self._is_rejected = is_rejected
        self.kept: Kept = {}
        """The removed entries of the tree that is being populated."""

    def load(self, tree: Any, place: Path, through: Callable[[], None], *, accepted: bool, chosen: bool) -> None:
        """Load the packages of a binhost.

        Args:
            place: its index.
            through: lets Portage read the index.
            accepted: whether the index is verified and up to date.
            chosen: whether options of the user select the packages of this binhost.
        """
        self.read_whole(tree, through)

    def read_whole(self, tree: Any, through: Callable[[], None]) -> list[Entry]:
        """Let Portage read the whole index of a binhost; return its new entries."""
        before = set(dict.keys(tree._remotepkgs))
        through()
        new = [entry for key, entry in dict.items(tree._remotepkgs) if key not in before]
        self.hold(tree, new, self.kept)
        return new

    def hold(self, tree: Any, entries: list[Entry], kept: Kept) -> None:
        """Remove rejected packages from a tree."""
        dbapi, remotes = tree.dbapi, tree._remotepkgs
        for entry in entries:
            cpv = entry["CPV"]
            key = dbapi._instance_key(cpv) if hasattr(cpv, "cp") else None  # otherwise Portage did not add it
            if dict.get(remotes, key) is entry and self._is_rejected(place_of(entry)):
                dbapi.cpv_remove(cpv)
                kept.setdefault(key, remotes.pop(key))

    def give_back(self, tree: Any, back: "Back") -> None:
        """Add the rejected packages that no other binhost has."""
        back.put_all()


class Back:
    """Rejected packages that no other binhost has; added last, so that the resolver reports why they are not used."""

    def __init__(self, tree: Any, kept: Kept) -> None:
        self._tree, self._kept = tree, kept

    def put(self, name: str) -> None:
        """Add the packages of ``cat/pkg`` again."""
        self._put([key for key in self._kept if key[0].cp == name])

    def put_all(self) -> None:
        """Add all packages again."""
        self._put(list(self._kept))

    def _put(self, keys: Iterable[Any]) -> None:
        for key in keys:
            entry = self._kept.pop(key)
            if key not in self._tree._remotepkgs and not self._tree.dbapi.cpv_exists(entry["CPV"]):
                self._tree._remotepkgs[key] = entry
                self._tree.dbapi.cpv_inject(entry["CPV"])

    def packages(self) -> Iterable[str]:
        """Return the names of the rejected packages."""
        return {key[0].cp: None for key in self._kept}

    def names(self) -> Iterable[str]:
        """Return no names, since the binhosts have listed them."""
        return ()
