"""Local binary packages by name: Portage's view of them is filled when it asks, not before.

Portage reads and keeps every entry of ``Packages``, 50 us and 4 KB each. Where shards of the same index are there,
its two dictionaries of packages read the shard of a name when a key of that name is first asked for; whoever
wants to see all of them makes them ordinary dictionaries, filled as Portage would have done it. What the index says
reaches the resolver through Portage's own reader and classes in both cases.
"""

import functools
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gentoomuch_portage.pkgindex import names, shards, splice, stamp
from gentoomuch_portage.pkgindex.stanza import BadIndex
from gentoomuch_portage.portage_adapter.swap import swapped

_NAME = re.compile(r"[\w+][\w+.-]*/[\w+-]+")


@contextmanager
def ondemand() -> Iterator[None]:
    """As long as the block runs, Portage reads the entries of a local package when it asks for its name.

    Not where Portage looks into PKGDIR itself (FEATURES=-pkgdir-index-trusted), nor where shards are missing or are
    those of another ``Packages``: there it reads all, as always.
    """
    from portage.dbapi.bintree import binarytree

    plain = binarytree._populate_local

    @functools.wraps(plain)
    def populate(self: Any, reindex: bool = True, invalid_errors: bool = True) -> Any:
        header = None if reindex else _header(Path(self.pkgdir))
        if header is None or not _view(self, header):
            return plain(self, reindex=reindex, invalid_errors=invalid_errors)
        return None  # as Portage says that the index need not be written

    with swapped(binarytree, "_populate_local", populate):
        yield


def _header(folder: Path) -> bytes | None:
    """The header of an index with fresh shards; None otherwise."""
    if stamp.fresh(folder) is None:
        return None
    try:
        with splice.viewed(folder / "Packages") as view:
            return view.header
    except OSError:
        return None


def _view(tree: Any, header: bytes) -> bool:
    """Give a tree a view that fills itself; False where Portage has to read the index."""
    index = tree._new_pkgindex()
    index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
    if not tree._pkgindex_version_supported(index):
        return False
    shelf = Shelf(tree, index.header)
    dbapi = tree.dbapi
    dbapi.cpdict, dbapi.cpvdict, tree._pkg_paths = Names(shelf), Instances(shelf), Instances(shelf)
    shelf.of_name, shelf.known, shelf.paths = dbapi.cpdict, dbapi.cpvdict, tree._pkg_paths
    dbapi._clear_cache()
    tree._pkgindex_header = {}
    tree._merge_pkgindex_header(index.header, tree._pkgindex_header)
    return True


class Shelf:
    """What a view has read so far."""

    of_name: "Names"
    known: "Instances"
    paths: "Instances"

    def __init__(self, tree: Any, header: dict[str, str]) -> None:
        self._tree, self._header = tree, header
        self._folder = Path(tree.pkgdir)
        self._asked: set[str] = set()
        self.dropped: set[str] = set()
        """Names that were taken out; one that came back stands behind all others."""
        self.complete = False
        """Whether nothing is left to be read."""

    def read(self, name: str) -> None:
        """Put the entries of a name into the view, if they are not there."""
        if self.complete or name in self._asked:
            return
        self._asked.add(name)
        if not _NAME.fullmatch(name):
            return
        try:
            body = shards.body(self._folder, name)
        except (OSError, BadIndex):
            self._asked.discard(name)
            self.read_all()
            return
        index = self._tree._new_pkgindex()
        index.header.update(self._header)
        index.readBody(io.StringIO(body.decode("utf-8", "replace")))
        self._put(index.packages)

    def names(self) -> list[str]:
        """All names, in Portage's order."""
        if not self.complete:
            try:
                listed = [*names.read(self._folder)]
            except (OSError, BadIndex):
                self.read_all()
            else:
                here = dict.fromkeys(dict.__iter__(self.of_name))
                kept = (one for one in listed if (one in here or one not in self._asked) and one not in self.dropped)
                return list(dict.fromkeys(kept) | here)
        return list(dict.__iter__(self.of_name))

    def read_all(self) -> None:
        """Read the whole index as Portage does; what came and went since stays so."""
        if self.complete:
            return
        self.complete = True
        views: tuple[_Filling, ...] = (self.of_name, self.known, self.paths)
        held = [dict(dict.items(one)) for one in views]
        for one in views:
            dict.clear(one)
        self._put(self._index().packages)
        for name in self._asked:
            keys = [self._tree.dbapi._instance_key(cpv) for cpv in dict.get(self.of_name, name, ())]
            for key in keys:
                for view, before in zip(views[1:], held[1:], strict=True):
                    if key not in before:
                        dict.pop(view, key, None)
            if name in self.dropped:
                dict.pop(self.of_name, name, None)
        for view, before in zip(views, held, strict=True):
            dict.update(view, before)

    def _index(self) -> Any:
        """Source: binarytree._load_pkgindex, which others may have swapped."""
        index = self._tree._new_pkgindex()
        with suppress(OSError), Path(self._tree._pkgindex_file).open(encoding="utf-8", errors="replace") as file:
            index.read(file)
        return index

    def _put(self, packages: list[dict[str, Any]]) -> None:
        """Source: binarytree._populate_local without reindex, and fakedbapi.cpv_inject."""
        from portage.versions import _pkg_str

        tree, dbapi = self._tree, self._tree.dbapi
        by_name: dict[str, dict[Any, Any]] = {}
        for entry in packages:
            cpv = _pkg_str(entry["CPV"], metadata=entry, settings=tree.settings, db=dbapi)
            entry["CPV"] = cpv
            key = dbapi._instance_key(cpv)
            dict.__setitem__(self.paths, key, entry.get("PATH") or f"{cpv}.tbz2")
            dict.__setitem__(self.known, key, cpv._metadata)
            ones = by_name.setdefault(cpv.cp, {})
            ones.pop(key, None)
            ones[key] = cpv
        for name, ones in by_name.items():
            dict.__setitem__(self.of_name, name, list(ones.values()))


class _Filling(dict[Any, Any]):
    """A dictionary that reads what it is asked for."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self._shelf = shelf

    def _ask(self, key: Any) -> None:
        raise NotImplementedError

    def __missing__(self, key: Any) -> Any:
        self._ask(key)
        if dict.__contains__(self, key):
            return dict.__getitem__(self, key)
        raise KeyError(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """As of any dictionary."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        self._ask(key)
        return dict.__contains__(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask(key)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._ask(key)
        dict.__delitem__(self, key)

    def pop(self, key: Any, *default: Any) -> Any:
        """As of any dictionary."""
        self._ask(key)
        return dict.pop(self, key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As of any dictionary."""
        self._ask(key)
        return dict.setdefault(self, key, default)

    def clear(self) -> None:
        """Portage begins anew: nothing of the index is to come any more."""
        self._shelf.complete = True
        dict.clear(self)

    def __iter__(self) -> Iterator[Any]:
        self._shelf.read_all()
        return dict.__iter__(self)

    def __len__(self) -> int:
        self._shelf.read_all()
        return dict.__len__(self)

    def __bool__(self) -> bool:
        return dict.__len__(self) > 0 or len(self) > 0

    def keys(self) -> Any:
        """As of any dictionary."""
        self._shelf.read_all()
        return dict.keys(self)

    def values(self) -> Any:
        """As of any dictionary."""
        self._shelf.read_all()
        return dict.values(self)

    def items(self) -> Any:
        """As of any dictionary."""
        self._shelf.read_all()
        return dict.items(self)

    def __reduce__(self) -> Any:
        self._shelf.read_all()
        return dict, (dict(dict.items(self)),)


class Names(_Filling):
    """``cat/pkg`` -> its instances; knows all names without reading their entries."""

    def _ask(self, key: Any) -> None:
        self._shelf.read(str(key))

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._shelf.dropped.add(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._shelf.names())

    def __len__(self) -> int:
        return len(self._shelf.names())


class Instances(_Filling):
    """Instance -> its metadata, or its path."""

    def _ask(self, key: Any) -> None:
        name = getattr(key[0], "cp", None) if isinstance(key, tuple) and key else None
        if name:
            self._shelf.read(str(name))
