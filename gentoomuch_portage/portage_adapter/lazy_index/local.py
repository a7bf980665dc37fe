"""Local binary packages by name: Portage's view of them is filled when it asks, not before.

Portage reads and keeps every entry of ``Packages``, 50 us and 4 KB each. Where shards of the same index are there,
its dictionaries of packages read the shard of a name when a key of that name is first asked for. What the index says
reaches the resolver through Portage's own reader and classes in both cases.
"""

import functools
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gentoomuch_portage.pkgindex import edit, shards, stamp
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Shelf
from gentoomuch_portage.portage_adapter.patching import swapped

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
        with edit.viewed(folder / "Packages") as view:
            return view.header
    except OSError:
        return None


def _view(tree: Any, header: bytes) -> bool:
    """Give a tree a view that fills itself; False where Portage has to read the index."""
    index = tree._new_pkgindex()
    index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
    if not tree._pkgindex_version_supported(index):
        return False
    tree.dbapi.clear()
    tree._pkg_paths = {}
    shelf = Shelf(tree)
    shelf.add(Local(shelf, index.header))
    tree._pkgindex_header = {}
    tree._merge_pkgindex_header(index.header, tree._pkgindex_header)
    return True


class Local:
    """The packages of PKGDIR."""

    def __init__(self, shelf: Shelf, header: dict[str, str]) -> None:
        self._shelf, self._tree, self._header = shelf, shelf.tree, header
        self._folder = Path(shelf.tree.pkgdir)

    def put(self, name: str) -> None:
        """Put all packages of ``cat/pkg`` into the views."""
        if not _NAME.fullmatch(name):
            return
        body = shards.body(self._folder, name)
        index = self._tree._new_pkgindex()
        index.header.update(self._header)
        index.readBody(io.StringIO(body.decode("utf-8", "replace")))
        self._put(index.packages)

    def put_all(self) -> None:
        """Put all packages into the views. Source: binarytree._load_pkgindex, which others may have swapped."""
        index = self._tree._new_pkgindex()
        with suppress(OSError), Path(self._tree._pkgindex_file).open(encoding="utf-8", errors="replace") as file:
            index.read(file)
        self._put(index.packages)

    def names(self) -> Iterable[str]:
        """All names, in Portage's order."""
        return shards.read(self._folder)

    def _put(self, packages: list[dict[str, Any]]) -> None:
        """Source: binarytree._populate_local without reindex, and fakedbapi.cpv_inject."""
        from portage.versions import _pkg_str

        tree, dbapi = self._tree, self._tree.dbapi
        by_name: dict[str, dict[Any, Any]] = {}
        for entry in packages:
            cpv = _pkg_str(entry["CPV"], metadata=entry, settings=tree.settings, db=dbapi)
            entry["CPV"] = cpv
            key = dbapi._instance_key(cpv)
            dict.__setitem__(self._shelf.paths, key, entry.get("PATH") or f"{cpv}.tbz2")
            dict.__setitem__(self._shelf.known, key, cpv._metadata)
            ones = by_name.setdefault(cpv.cp, {})
            ones.pop(key, None)
            ones[key] = cpv
        for name, ones in by_name.items():
            dict.__setitem__(self._shelf.of_name, name, list(ones.values()))
