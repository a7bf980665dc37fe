"""Where the packages of a view come from, if from binhosts: steps of a shelf."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gentoomuch_portage.pkgindex.entry import BadIndex
from gentoomuch_portage.pkgindex.sorted_index import Ordered
from gentoomuch_portage.portage_adapter.binpkg import Place, place_of
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Shelf, shelf_of
from gentoomuch_portage.portage_adapter.patching import swapped

Refused = Callable[[Place], str]
"""Why a package was refused; empty where it was not."""
Entry = dict[str, Any]
Kept = dict[Any, Entry]
"""Portage's key of an instance -> its entry in the index."""


class Base:
    """What Portage had read before anything was left for later."""

    def __init__(self, shelf: Shelf, kept: Kept) -> None:
        self._views = [(view, dict(dict.items(view))) for view in shelf.views]
        self._kept, self._withheld = kept, dict(kept)

    def put(self, name: str) -> None:
        """It is there."""

    def put_all(self) -> None:
        """Put it back."""
        for view, items in self._views:
            dict.update(view, items)
        self._kept.update(self._withheld)

    def names(self) -> Iterable[str]:
        """All names, in Portage's order."""
        return self._views[0][1]


class Given:
    """Portage's own taking over of entries, given some of those of an index."""

    def __init__(self, tree: Any, index: Ordered, through: Callable[[], None]) -> None:
        self._tree, self.through = tree, through
        made = tree._new_pkgindex()
        made.readHeader(io.StringIO(index.header.decode("utf-8", "replace")))
        self._header = made.header

    def read(self, text: bytes) -> list[Entry]:
        """Entries as Portage reads them."""
        index = self._tree._new_pkgindex()
        index.header.update(self._header)
        index.readBody(io.StringIO(text.decode("utf-8", "replace")))
        return list(index.packages)

    def over(self, entries: list[Entry]) -> bool:
        """Let Portage take entries over; whether it looked at them."""
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
    """Entries that know whether somebody went through them."""

    at = False

    def __iter__(self) -> Iterator[Any]:
        self.at = True
        return super().__iter__()


class Remote:
    """The packages of a binhost."""

    def __init__(self, shelf: Shelf, given: Given, index: Ordered, withheld: "Withheld", *, chosen: bool) -> None:
        """Read nothing yet.

        Args:
            chosen: whether words of the user say which packages are taken from it.
        """
        self._shelf, self._given, self._index, self._chosen = shelf, given, index, chosen
        self._withheld, self._kept = withheld, withheld.kept

    def put(self, name: str) -> None:
        """Put all packages of ``cat/pkg`` into the views."""
        text = self._index.of_name(name)
        if entries := [entry for entry in self._given.read(text) if name_of(entry["CPV"]) == name]:
            # Nothing is known of this name yet; what is remembered of others holds.
            with swapped(self._shelf.tree.dbapi, "_clear_cache", lambda: None):
                self._over(entries)

    def put_all(self) -> None:
        """Put all packages into the views; where the index is not what it was, Portage reads what is there now."""
        try:
            entries = self._given.read(self._index.entries())
        except (OSError, BadIndex):
            self._withheld.whole(self._shelf.tree, self._given.through)
        else:
            self._over(entries)

    def names(self) -> Iterable[str]:
        """All names, in Portage's order."""
        if self._chosen:
            raise BadIndex("Packages", "which names are taken from it shows when all of it is read")
        return self._index.names()

    def _over(self, entries: list[Entry]) -> None:
        self._given.over(entries)
        self._withheld.hold(self._shelf.tree, entries, self._kept)


class Whole:
    """What Portage has read of a binhost as a whole while others are read by name."""

    def __init__(self, tree: Any, entries: list[Entry], withheld: "Withheld") -> None:
        self._tree, self._entries, self._withheld, self._kept = tree, entries, withheld, withheld.kept

    def put(self, name: str) -> None:
        """It is there."""

    def put_all(self) -> None:
        """Put it back. Source: binarytree._populate_remote_repo."""
        dbapi = self._tree.dbapi
        for entry in self._entries:
            if not dbapi.cpv_exists(entry["CPV"]):
                self._tree._remotepkgs[dbapi._instance_key(entry["CPV"])] = entry
                dbapi.cpv_inject(entry["CPV"])
        self._withheld.hold(self._tree, self._entries, self._kept)

    def names(self) -> Iterable[str]:
        """All names, in Portage's order."""
        return (entry["CPV"].cp for entry in self._entries)


class Withheld:
    """Packages that were refused. Of equal ones Portage knows that of the first binhost alone; it must make way."""

    def __init__(self, refused: Refused) -> None:
        self._refused = refused
        self.kept: Kept = {}
        """Of the tree that is being populated."""

    def whole(self, tree: Any, through: Callable[[], None]) -> None:
        """Let Portage read a binhost as a whole."""
        before = set(dict.keys(tree._remotepkgs))
        through()
        new = [entry for key, entry in dict.items(tree._remotepkgs) if key not in before]
        self.hold(tree, new, self.kept)
        if new and (shelf := shelf_of(tree)):
            shelf.add(Whole(tree, new, self), there=True)

    def hold(self, tree: Any, entries: list[Entry], kept: Kept) -> None:
        """Take out of a tree what was refused."""
        dbapi, remotes = tree.dbapi, tree._remotepkgs
        for entry in entries:
            cpv = entry["CPV"]
            key = dbapi._instance_key(cpv) if hasattr(cpv, "cp") else None  # otherwise it was not taken over
            if dict.get(remotes, key) is entry and self._refused(place_of(entry)):
                dbapi.cpv_remove(cpv)
                kept.setdefault(key, remotes.pop(key))


class Back:
    """What no other binhost has is on offer after all, so that the resolver can tell why it is not taken."""

    def __init__(self, tree: Any, kept: Kept) -> None:
        self._tree, self._kept = tree, kept

    def put(self, name: str) -> None:
        """Put the packages of ``cat/pkg`` back into the views."""
        self._put([key for key in self._kept if key[0].cp == name])

    def put_all(self) -> None:
        """Put all packages back into the views."""
        self._put(list(self._kept))

    def _put(self, keys: Iterable[Any]) -> None:
        for key in keys:
            entry = self._kept.pop(key)
            if key not in self._tree._remotepkgs and not self._tree.dbapi.cpv_exists(entry["CPV"]):
                self._tree._remotepkgs[key] = entry
                self._tree.dbapi.cpv_inject(entry["CPV"])

    def names(self) -> Iterable[str]:
        """None that no binhost has."""
        return ()


def name_of(cpv: str) -> str:
    """``cat/pkg``; empty where Portage takes it for no cpv."""
    from portage.versions import catpkgsplit

    found = catpkgsplit(cpv)
    return f"{found[0]}/{found[1]}" if found else ""
