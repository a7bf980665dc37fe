"""The packages of binhosts by name: of an index that was verified, Portage sees the entries that it asks for.

Portage's own function takes the entries over, those of one name at a time: it is given an index of these entries alone.
So what it makes of an entry, and what it refuses, stays its own. Where anything is out of the ordinary it reads all.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.errors import bare
from gentoomuch_portage.pkgindex.sorted_index import Ordered, ordered
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Shelf, shelf_of
from gentoomuch_portage.portage_adapter.lazy_index.sources import (
    Back,
    Base,
    Given,
    Kept,
    Refused,
    Remote,
    Withheld,
    name_of,
)
from gentoomuch_portage.portage_adapter.patching import swapped

Bring = Callable[[str, Path], str | None]
"""``bring(url, place)``: bring the index there up to date. None: Portage is to ask itself. Empty: it is there now.
Anything else: why nothing is taken from that binhost."""


@contextmanager
def remotely(cache: Path, bring: Bring, refused: Refused) -> Iterator[None]:
    """As long as the block runs, indexes of binhosts are brought by us, and read by name where that can be.

    Args:
        cache: indexes are kept there, each below a name that all of its URL makes.
        refused: such a package makes way for the same one of another binhost.
    """
    from portage.dbapi import bintree

    tree, withheld = bintree.binarytree, Withheld(refused)
    with ExitStack() as held:
        one = _populating(tree._populate_remote_repo, bintree, cache, bring, withheld)
        held.enter_context(swapped(tree, "_populate_remote_repo", one))
        held.enter_context(swapped(tree, "_populate_remote", _giving_back(tree._populate_remote, withheld)))
        yield


def _populating(
    plain: Callable[..., None], bintree: Any, cache: Path, bring: Bring, withheld: Withheld
) -> Callable[..., None]:
    from portage.exception import InvalidData

    @functools.wraps(plain)
    def populated(self: Any, repo: Any, getbinpkg_refresh: bool, *args: Any, **named: Any) -> None:
        url = repo.sync_uri
        own = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
        place = _place(own, url)
        with swapped(bintree, "CACHE_PATH", str(own)):
            why = bring(url, place) if getbinpkg_refresh else None
        if why:
            return
        refresh = getbinpkg_refresh and why is None

        def through() -> None:
            with swapped(bintree, "CACHE_PATH", str(own)):
                try:
                    plain(self, repo, refresh, *args, **named)
                except InvalidData as error:  # of one entry, which would end emerge; those before it are taken over
                    told = f"the index of {bare(url)} has {str(error)!r} for a package"
                    console.warn(f"{told}: nothing is taken from it that stands behind that")

        # Of a frozen one Portage tells each time; what --quickpkg-direct adds stands between PKGDIR and the binhosts.
        usual = not (refresh or getattr(repo, "frozen", True) or getattr(self, "_additional_pkgs", True))
        index = ordered(place, name_of, accepted=why == "") if usual else None
        if index is None:
            withheld.whole(self, through)
        else:
            chosen = any(hasattr(one, "isEmpty") and not one.isEmpty() for one in (*args, *named.values()))
            _by_name(self, index, through, withheld, chosen=chosen)

    return populated


def _by_name(tree: Any, index: Ordered, through: Callable[[], None], withheld: Withheld, *, chosen: bool) -> None:
    """Let the view of a tree read a binhost by name, unless Portage has read it in a way of its own."""
    given = Given(tree, index, through)
    looked: list[bool] = []
    withheld.whole(tree, lambda: looked.append(given.over([])))
    if looked[0]:
        shelf = _shelf(tree, withheld.kept)
        shelf.add(Remote(shelf, given, index, withheld, chosen=chosen))
        tree.dbapi._clear_cache()


def _shelf(tree: Any, kept: Kept) -> Shelf:
    """The shelf of a tree; made where Portage has read all so far."""
    shelf = shelf_of(tree) or Shelf(tree)
    if tree._remotepkgs is not shelf.remotes:
        dict.update(shelf.remotes, tree._remotepkgs)
        tree._remotepkgs = shelf.remotes
    if not shelf.steps:
        shelf.add(Base(shelf, kept), there=True)
    return shelf


def _giving_back(plain: Callable[..., None], withheld: Withheld) -> Callable[..., None]:
    @functools.wraps(plain)
    def populated(self: Any, *args: Any, **named: Any) -> None:
        kept: Kept = {}
        withheld.kept = kept
        plain(self, *args, **named)
        back = Back(self, kept)
        if shelf := shelf_of(self):
            shelf.add(back)
            for name in {key[0].cp: None for key in kept}:
                shelf.read(name)
        else:
            back.put_all()

    return populated


def _place(own: Path, url: str) -> Path:
    """Where Portage looks for the index. Source: pkgindex_file in binarytree._populate_remote_repo."""
    from urllib.parse import urlparse

    parts = urlparse(url)
    return own / "binhost" / (parts.hostname or "") / parts.path.lstrip("/") / "Packages"
