# SPDX-License-Identifier: GPL-2.0-or-later
"""Load local binary packages by name, when Portage first uses a name.

Portage reads and keeps every entry of ``Packages``, 50 us and 4 KB each. If shards of the same index exist, its
dictionaries of packages read the shard of a name at the first use of a key of that name. Portage's own reader and
classes parse the entries in both cases.
"""

import functools
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import portage.versions
from portage.dbapi.bintree import binarytree

from gentoomuch_portage.pkgindex import edit, shards, stamp
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Shelf
from gentoomuch_portage.portage_adapter.patching import swapped

_NAME = re.compile(r"[\w+][\w+.-]*/[\w+-]+")


@contextmanager
def ondemand() -> Iterator[None]:
    """Let Portage read the entries of a local package at the first use of its name, while the block runs.

    It reads all entries if shards are missing or out of date. It also does so if it reads PKGDIR itself
    (FEATURES=-pkgdir-index-trusted).
    """
    plain = binarytree._populate_local

    @functools.wraps(plain)
    def populate(self: Any, reindex: bool = True, invalid_errors: bool = True) -> Any:
        header = None if reindex else _header(Path(self.pkgdir))
        if header is None or not _view(self, header):
            return plain(self, reindex=reindex, invalid_errors=invalid_errors)
        return None  # so Portage does not write the index

    with swapped(binarytree, "_populate_local", populate):
        yield


def _header(folder: Path) -> bytes | None:
    """Return the header of an index whose shards are up to date; None otherwise."""
    if stamp.fresh(folder) is None:
        return None
    try:
        with edit.open_view(folder / "Packages") as view:
            return view.header
    except OSError:
        return None


def _view(tree: Any, header: bytes) -> bool:
    """Give a tree dictionaries that load entries by name; return False if Portage has to read the index."""
    index = tree._new_pkgindex()
    index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
    if not is_supported(index):
        return False
    tree.dbapi.clear()
    tree._pkg_paths = {}
    shelf = Shelf(tree)
    shelf.add(Local(shelf, index.header))
    tree._pkgindex_header = {}
    tree._merge_pkgindex_header(index.header, tree._pkgindex_header)
    return True


def is_supported(index: Any) -> bool:
    """Return True if an index has the version that these modules know; Portage reads and rejects others."""
    return bool(index.header.get("VERSION") == "0")


class Local:
    """The packages of PKGDIR."""

    def __init__(self, shelf: Shelf, header: dict[str, str]) -> None:
        self._shelf, self._tree, self._header = shelf, shelf.tree, header
        self._folder = Path(shelf.tree.pkgdir)

    def put(self, name: str) -> None:
        """Add all packages of ``cat/pkg`` to the dictionaries."""
        if not _NAME.fullmatch(name):
            return
        body = shards.body(self._folder, name)
        index = self._tree._new_pkgindex()
        index.header.update(self._header)
        index.readBody(io.StringIO(body.decode("utf-8", "replace")))
        self._put(index.packages)

    def put_all(self) -> None:
        """Add all packages to the dictionaries. Source: binarytree._load_pkgindex, which may be replaced here."""
        index = self._tree._new_pkgindex()
        with suppress(OSError), (self._folder / "Packages").open(encoding="utf-8", errors="replace") as file:
            index.read(file)
        self._put(index.packages)

    def names(self) -> Iterable[str]:
        """Return all names, in Portage's order."""
        return shards.read(self._folder)

    def _put(self, packages: list[dict[str, Any]]) -> None:
        """Add entries. Source: binarytree._populate_local without reindex, and fakedbapi.cpv_inject."""
        tree, dbapi = self._tree, self._tree.dbapi
        by_name: dict[str, dict[Any, Any]] = {}
        for entry in packages:
            cpv = portage.versions._pkg_str(entry["CPV"], metadata=entry, settings=tree.settings, db=dbapi)
            entry["CPV"] = cpv
            key = dbapi._instance_key(cpv)
            dict.__setitem__(self._shelf.paths, key, entry.get("PATH") or f"{cpv}.tbz2")
            dict.__setitem__(self._shelf.known, key, entry)
            ones = by_name.setdefault(cpv.cp, {})
            ones.pop(key, None)
            ones[key] = cpv
        for name, ones in by_name.items():
            dict.__setitem__(self._shelf.of_name, name, list(ones.values()))
