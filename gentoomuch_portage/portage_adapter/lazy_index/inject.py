"""A package that is built or fetched comes into the index as one entry; the others are neither read nor written.

Portage's own inject and remove do the work and hold the lock, and its own _get_digests looks up what a local package
is held against. Where the shards are fresh they are given an index that holds the entries of one name alone, and
what they change in it is put into the files.
"""

import functools
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.pkgindex import edit, entry, shards, stamp
from gentoomuch_portage.pkgindex import write as pkgindex_write
from gentoomuch_portage.portage_adapter import pkgdir
from gentoomuch_portage.portage_adapter.patching import swapped

Told = Callable[[Path], Mapping[str, str]]
"""What a package tells under our keys."""


class OneName(list[Any]):
    """The entries of one name, in the place of all."""

    def __init__(self, entries: list[Any]) -> None:
        super().__init__(entries)
        self.before = list(entries)

    def gone(self) -> list[Any]:
        """Those that were taken out."""
        left = {id(one) for one in self}
        return [one for one in self.before if id(one) not in left]

    def come(self) -> list[Any]:
        """Those that were added."""
        known = {id(one) for one in self.before}
        return [one for one in self if id(one) not in known]


@contextmanager
def injecting(told: Told) -> Iterator[None]:
    """As long as the block runs, indexes that have shards are changed entry by entry, and keep their shards.

    An index without ``gm-index`` is written as Portage does it.
    """
    from portage.dbapi.bintree import binarytree

    asked: dict[int, str] = {}
    with ExitStack() as held:
        for name in ("inject", "remove", "_get_digests"):
            held.enter_context(swapped(binarytree, name, _naming(getattr(binarytree, name), asked)))
        load, write = binarytree._load_pkgindex, binarytree._pkgindex_write
        held.enter_context(swapped(binarytree, "_load_pkgindex", _loading(load, asked)))
        held.enter_context(swapped(binarytree, "_pkgindex_write", _writing(write, load, told)))
        yield


def _naming(plain: Any, asked: dict[int, str]) -> Any:
    """Say which name it is about as long as it runs."""
    from portage.versions import cpv_getkey

    @functools.wraps(plain)
    def named(self: Any, pkg: Any, *args: Any, **more: Any) -> Any:
        if not self.populated:
            self.populate()  # it reads the whole index, and it is not about this name
        before = asked.get(id(self))
        asked[id(self)] = cpv_getkey(getattr(pkg, "cpv", pkg)) or ""
        try:
            return plain(self, pkg, *args, **more)
        finally:
            if before is None:
                del asked[id(self)]
            else:
                asked[id(self)] = before

    return named


def _loading(plain: Any, asked: dict[int, str]) -> Any:
    @functools.wraps(plain)
    def load(self: Any) -> Any:
        name = asked.get(id(self))
        found = _of_name(self, name) if name and not self._all_directory else None
        return plain(self) if found is None else found

    return load


def _of_name(tree: Any, name: str) -> Any:
    """An index of one name alone; None where the shards are not fresh."""
    folder = Path(tree.pkgdir)
    if stamp.fresh(folder) is None:
        return None
    try:
        with edit.viewed(folder / "Packages") as view:
            header = view.header
        body = shards.body(folder, name)
    except (OSError, entry.BadIndex):
        return None
    index = tree._new_pkgindex()
    index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
    if not tree._pkgindex_version_supported(index):
        return None
    index.readBody(io.StringIO(body.decode("utf-8", "replace")))
    index.packages = OneName(index.packages)
    return index


def _writing(plain: Any, load: Any, told: Told) -> Any:
    @functools.wraps(plain)
    def write(self: Any, index: Any) -> None:
        if isinstance(index.packages, OneName):
            try:
                _change(self, index, told)
                return
            except (entry.BadIndex, FileNotFoundError):
                index = _whole(load(self), index)
        plain(self, index)
        if (Path(self.pkgdir) / stamp.FOLDER).is_dir():
            _follow(Path(self.pkgdir), told)

    return write


def _follow(folder: Path, told: Told) -> None:
    """Let the shards follow what Portage wrote; where they cannot, the package is in the index all the same."""
    try:
        pkgindex_write.follow(folder, lambda path: told(folder / path))
    except (entry.BadIndex, OSError) as error:
        console.warn(f"the index by name of {folder} was left as it is: {error}")


def _change(tree: Any, index: Any, told: Told) -> None:
    folder, packages = Path(tree.pkgdir), index.packages
    count = entry.number(index.header, "PACKAGES") + len(packages) - len(packages.before)
    index.header["TIMESTAMP"], index.header["PACKAGES"] = str(int(time.time())), str(count)
    index.modified = False  # the header says all already
    drop = [(one["CPV"].encode(), one.get("PATH") or f"{one['CPV']}.tbz2") for one in packages.gone()]
    index.packages = packages.come()
    try:
        header, entries = pkgdir.parted(pkgdir.written(index))
    finally:
        index.packages = packages
    add = {one: entry.lines(told(folder / entry.path(one))) for one in entries}
    pkgindex_write.change(folder, header, drop, add, compress="compress-index" in tree.settings.features)


def _whole(index: Any, changed: Any) -> Any:
    """The whole index with the same changes."""
    gone = {(str(one["CPV"]), one.get("PATH", "")) for one in changed.packages.gone()}
    kept = [one for one in index.packages if (one["CPV"], one.get("PATH", "")) not in gone]
    index.header.update(changed.header)
    index.packages[:] = [*kept, *changed.packages.come()]
    return index
