# SPDX-License-Identifier: GPL-2.0-or-later
"""Add a built or fetched package to the index as one entry, without reading or writing the others.

Portage's inject and remove do the work and hold the lock, and its _get_digests finds the digests of a local package. If
the shards are up to date, these functions get an index with the entries of one name, and their changes are written.
"""

import functools
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from portage.dbapi.bintree import binarytree
from portage.versions import cpv_getkey

from gentoomuch_portage import console
from gentoomuch_portage.pkgindex import edit, entry, shards, stamp
from gentoomuch_portage.pkgindex import write as pkgindex_write
from gentoomuch_portage.portage_adapter import pkgdir
from gentoomuch_portage.portage_adapter.lazy_index.local import is_supported, ondemand
from gentoomuch_portage.portage_adapter.patching import swapped

ReadFields = Callable[[Path], Mapping[str, str]]
"""Reads the fields of a package that the index has besides those of Portage."""


@contextmanager
def reading_and_injecting(read_fields: ReadFields) -> Iterator[None]:
    """Read and change indexes with shards by name while the block runs."""
    with ondemand(), injecting(read_fields):
        yield


class OneName(list[Any]):
    """The entries of one name instead of all entries."""

    def __init__(self, entries: list[Any]) -> None:
        super().__init__(entries)
        self.before = list(entries)

    def gone(self) -> list[Any]:
        """Return the entries that were removed."""
        left = {id(entry) for entry in self}
        return [entry for entry in self.before if id(entry) not in left]

    def come(self) -> list[Any]:
        """Return the entries that were added."""
        known = {id(entry) for entry in self.before}
        return [entry for entry in self if id(entry) not in known]


@contextmanager
def injecting(read_fields: ReadFields) -> Iterator[None]:
    """Change indexes with shards entry by entry, and update the shards, while the block runs.

    Portage itself writes an index without ``gm-index``.
    """
    names: dict[int, str] = {}
    with ExitStack() as held:
        for name in ("inject", "remove", "_get_digests"):
            held.enter_context(swapped(binarytree, name, _naming(getattr(binarytree, name), names)))
        load, write = binarytree._load_pkgindex, binarytree._pkgindex_write
        held.enter_context(swapped(binarytree, "_load_pkgindex", _loading(load, names)))
        held.enter_context(swapped(binarytree, "_pkgindex_write", _writing(write, load, read_fields)))
        yield


def _naming(plain: Any, names: dict[int, str]) -> Any:
    """Note the name of the package while the function runs."""

    @functools.wraps(plain)
    def named(self: Any, pkg: Any, *args: Any, **more: Any) -> Any:
        if not self.populated:
            self.populate()  # it reads the whole index, not only this name
        before = names.get(id(self))
        names[id(self)] = cpv_getkey(getattr(pkg, "cpv", pkg)) or ""
        try:
            return plain(self, pkg, *args, **more)
        finally:
            if before is None:
                del names[id(self)]
            else:
                names[id(self)] = before

    return named


def _loading(plain: Any, names: dict[int, str]) -> Any:
    @functools.wraps(plain)
    def load(self: Any) -> Any:
        name = names.get(id(self))
        index = _of_name(self, name) if name and not self._all_directory else None
        return plain(self) if index is None else index

    return load


def _of_name(tree: Any, name: str) -> Any:
    """Return an index with only one name; None if the shards are out of date."""
    folder = Path(tree.pkgdir)
    if stamp.fresh(folder) is None:
        return None
    try:
        with edit.open_view(folder / "Packages") as view:
            header = view.header
        body = shards.body(folder, name)
    except (OSError, entry.BadIndex):
        return None
    index = tree._new_pkgindex()
    index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
    if not is_supported(index):
        return None
    index.readBody(io.StringIO(body.decode("utf-8", "replace")))
    index.packages = OneName(index.packages)
    return index


def _writing(plain: Any, load: Any, read_fields: ReadFields) -> Any:
    @functools.wraps(plain)
    def write(self: Any, index: Any) -> None:
        if isinstance(index.packages, OneName):
            try:
                _change(self, index, read_fields)
                return
            except (entry.BadIndex, FileNotFoundError):
                index = _whole(load(self), index)
        plain(self, index)
        if (Path(self.pkgdir) / stamp.FOLDER).is_dir():
            _follow(Path(self.pkgdir), read_fields)

    return write


def _follow(folder: Path, read_fields: ReadFields) -> None:
    """Update the shards after Portage has written the index; after an error only the index has the package."""
    try:
        pkgindex_write.update_shards(folder, lambda path: read_fields(folder / path))
    except (entry.BadIndex, OSError) as error:
        console.warning(f"cannot update the index by name of {folder}: {error}")


def _change(tree: Any, index: Any, read_fields: ReadFields) -> None:
    folder, packages = Path(tree.pkgdir), index.packages
    count = entry.number(index.header, "PACKAGES") + len(packages) - len(packages.before)
    index.header["TIMESTAMP"], index.header["PACKAGES"] = str(int(time.time())), str(count)
    index.modified = False  # the header is complete
    drop = [(pkg["CPV"].encode(), pkg.get("PATH") or f"{pkg['CPV']}.tbz2") for pkg in packages.gone()]
    index.packages = packages.come()
    try:
        header, entries = pkgdir.parted(pkgdir.written(index))
    finally:
        index.packages = packages
    add = {text: entry.format_metadata(read_fields(folder / entry.path(text))) for text in entries}
    pkgindex_write.change(folder, header, drop, add, compress="compress-index" in tree.settings.features)


def _whole(index: Any, changed: Any) -> Any:
    """Apply the changes of an index of one name to the whole index."""
    gone = {(str(pkg["CPV"]), pkg.get("PATH", "")) for pkg in changed.packages.gone()}
    kept = [pkg for pkg in index.packages if (pkg["CPV"], pkg.get("PATH", "")) not in gone]
    index.header.update(changed.header)
    index.packages[:] = [*kept, *changed.packages.come()]
    return index
