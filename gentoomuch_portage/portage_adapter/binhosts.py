# SPDX-License-Identifier: GPL-2.0-or-later
"""Replace Portage's downloads from binhosts by our own, which have timeouts and can be resumed."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import portage
from portage.dbapi import bintree
from portage.exception import InvalidData
from portage.versions import cpv_getkey

from gentoomuch_portage import console
from gentoomuch_portage.errors import bare
from gentoomuch_portage.portage_adapter import lazy_index, private_api
from gentoomuch_portage.portage_adapter.binhost_indexes import Back, BinhostIndexes, Kept, RejectReason
from gentoomuch_portage.portage_adapter.binpkg_fetch import fetched_by
from gentoomuch_portage.portage_adapter.downloads import Downloads
from gentoomuch_portage.portage_adapter.patching import environment, swapped
from gentoomuch_portage.portage_adapter.trees import find_target
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.lazy_index import remote
else:
    remote = LazyModule("gentoomuch_portage.portage_adapter.lazy_index.remote")

Bring = Callable[[str, Path], str | None]
"""``bring(url, place)`` updates the index at ``place``.

Returns an empty text if the index is up to date, None if Portage has to fetch it, or the reason why the binhost is
skipped.
"""


@private_api.optional(private_api.BINHOST)
@contextmanager
def use_own_downloads(cache: Path, bring: Bring, downloads: Downloads) -> Iterator[None]:
    """Fetch the indexes of binhosts, and their packages, while the block runs.

    Args:
        cache: the directory of indexes; each has a name that includes its URL.
    """
    with remotely(cache, bring, downloads.reject_reason), fetched_by(downloads):
        yield


@contextmanager
def remotely(cache: Path, bring: Bring, is_rejected: RejectReason) -> Iterator[None]:
    """Fetch the indexes of binhosts ourselves, and read them by name if possible, while the block runs.

    Args:
        cache: directory of cached indexes, each in a directory named by the hash of its whole URL.
        is_rejected: a package that it rejects is replaced by the same package of another binhost.
    """
    tree, indexes = bintree.binarytree, _indexes(is_rejected)
    with ExitStack() as held:
        populate = _populating(tree._populate_remote_repo, bintree, cache, bring, indexes)
        held.enter_context(swapped(tree, "_populate_remote_repo", populate))
        held.enter_context(swapped(tree, "_populate_remote", _giving_back(tree._populate_remote, indexes)))
        yield


def _indexes(is_rejected: RejectReason) -> BinhostIndexes:
    if not lazy_index.is_on():
        return BinhostIndexes(is_rejected)
    return remote.IndexesByName(is_rejected)


def _populating(
    plain: Callable[..., None], bintree: Any, cache: Path, bring: Bring, indexes: BinhostIndexes
) -> Callable[..., None]:
    @functools.wraps(plain)
    def populated(self: Any, repo: Any, getbinpkg_refresh: bool, *args: Any, **named: Any) -> None:
        url = repo.sync_uri
        own = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
        place = _place(own, url)
        with swapped(bintree, "CACHE_PATH", str(own)):
            why = bring(url, place)  # fetches once a run; a rejected index stays rejected without a refresh
        if why:
            return
        refresh = getbinpkg_refresh and why is None

        def through() -> None:
            with swapped(bintree, "CACHE_PATH", str(own)):
                try:
                    plain(self, repo, refresh, *args, **named)
                except InvalidData as error:  # of one entry; it would end emerge. Earlier entries are used
                    message = f"the index of {bare(url)} has {str(error)!r} for a package"
                    console.warning(f"{message}: ignoring the remaining entries of that index")

        # Portage reports a frozen binhost each time; --quickpkg-direct adds packages between PKGDIR and the binhosts.
        usual = not (refresh or getattr(repo, "frozen", True) or getattr(self, "_additional_pkgs", True))
        if not usual:
            indexes.read_whole(self, through)
            return
        chosen = any(hasattr(value, "isEmpty") and not value.isEmpty() for value in (*args, *named.values()))
        indexes.load(self, place, through, accepted=why == "", chosen=chosen)

    return populated


def _giving_back(plain: Callable[..., None], indexes: BinhostIndexes) -> Callable[..., None]:
    @functools.wraps(plain)
    def populated(self: Any, *args: Any, **named: Any) -> None:
        kept: Kept = {}
        indexes.kept = kept
        plain(self, *args, **named)
        indexes.give_back(self, Back(self, kept))

    return populated


def _place(own: Path, url: str) -> Path:
    """Return the path at which Portage expects the index. Source: pkgindex_file in binarytree._populate_remote_repo."""
    parts = urlparse(url)
    return own / "binhost" / (parts.hostname or "") / parts.path.lstrip("/") / "Packages"


def load_indexes(env: Mapping[str, str], cache: Path) -> Callable[[str], int]:
    """Load the indexes of all binhosts, as emerge does.

    Args:
        env: PORTAGE_CONFIGROOT and ROOT of the profile.
        cache: the directory for those indexes that Portage fetches itself.

    Returns:
        A function that returns the highest BUILD_ID of a cpv on them; 0 if there is none.
    """
    alone = {**env, "PKGDIR": str(cache / "no-packages")}
    with environment(alone), swapped(bintree, "CACHE_PATH", str(cache)):
        trees = portage.create_trees(config_root=env["PORTAGE_CONFIGROOT"], target_root=env.get("ROOT", "/"))
        tree = find_target(trees)["bintree"]
        tree.populate(getbinpkgs=True, getbinpkg_refresh=True)

    def find_highest(cpv: str) -> int:
        instances = tree.dbapi.cp_list(cpv_getkey(cpv))
        return max((int(instance.build_id or 0) for instance in instances if instance == cpv), default=0)

    return find_highest
