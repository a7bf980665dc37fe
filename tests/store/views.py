# SPDX-License-Identifier: GPL-2.0-or-later
"""``python views.py PKGDIR SEED ROUNDS [CACHE]``: two views of binary packages, by name and as a whole.

Run on a host. Each round makes both views anew and asks, changes and pickles them in a random order; the first answer
that differs ends it with status 1. With a cache of indexes of the binhosts that the host knows, these are in the views
too: each time some of their packages count as refused, and some indexes can only be read as a whole.
"""

import inspect
import pickle
import random
import sys
import zlib
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from gentoomuch_portage.pkgindex.sorted_index import open_sorted
from gentoomuch_portage.portage_adapter import binhosts
from gentoomuch_portage.portage_adapter.binpkg import Place
from gentoomuch_portage.portage_adapter.lazy_index import remote as lazy_index_remote
from gentoomuch_portage.portage_adapter.lazy_index.inject import injecting
from gentoomuch_portage.portage_adapter.lazy_index.local import ondemand
from gentoomuch_portage.portage_adapter.lazy_index.mappings import Names
from gentoomuch_portage.portage_adapter.lazy_index.sources import Remote
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.portage_adapter.pkgdir import pkgdir


def main(folder: Path, seed: int, rounds: int, cache: Path | None) -> int:
    """Ask; the exit status."""
    dice = random.Random(seed)
    base = fresh(folder, cache, by_name=False, luck=0)
    known = sorted({cpv.cp for cpv in base.dbapi.cpv_all()})
    names = [*known, "dev-demo/nothing", "no-such/thing", "../etc", "*/*"]
    filled = 0
    for number in range(rounds):
        luck = dice.randrange(1 << 30)
        plain, filling = (fresh(folder, cache, by_name=one, luck=luck) for one in (False, True))
        assert isinstance(filling.dbapi.cpdict, Names) or cache
        filled += isinstance(filling.dbapi.cpdict, Names) and not filling.dbapi.cpdict.shelf.complete
        for step in range(dice.randint(1, 12)):
            question, name = dice.choice(QUESTIONS), dice.choice(names)
            one, other = question(plain, name), question(filling, name)
            if one != other:
                print(f"round {number}, luck {luck}, step {step}: {question.__name__} {name}:\n{parted(one, other)}")
                return 1
    assert filled > rounds / 4, "hardly a view was filled by name"
    print(f"{rounds} rounds, {len(known)} names: equal")
    return 0


def parted(one: Any, other: Any) -> str:
    """Where two answers differ first."""
    while isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        one, other = next(pair for pair in zip(one, other, strict=True) if pair[0] != pair[1])
    return f"{one}\n{other}"


def fresh(folder: Path, cache: Path | None, *, by_name: bool, luck: int) -> Any:
    """A tree.

    Args:
        luck: decides what was refused, and which indexes are read as a whole in any case.
    """
    tree = pkgdir(folder).tree

    def refused(place: Place) -> str:
        return "no" if zlib.crc32(f"{luck}{place.url}".encode()) % 4 == 0 and luck % 3 else ""

    def seen(place: Path, *args: Any, accepted: bool) -> Any:
        whole = zlib.crc32(f"{luck}{place}".encode()) % 4 == 0
        return None if whole or not by_name else open_sorted(place, *args, accepted=accepted)

    with ExitStack() as around:
        if by_name and (not cache or luck % 5):
            around.enter_context(ondemand())
        if cache:
            around.enter_context(swapped(lazy_index_remote, "open_sorted", seen))
            around.enter_context(binhosts.remotely(cache, lambda url, place: "", refused))
        excludes = luck % 7 == 1 and "getbinpkg_exclude" in inspect.signature(tree.populate).parameters  # since 3.0.80
        excluded = {"getbinpkg_exclude": [f"{EXCLUDED}*"]} if excludes else {}
        tree.populate(getbinpkgs=bool(cache), getbinpkg_refresh=True, **excluded)
    return tree


EXCLUDED = "dev-demo/lib"


def describe(tree: Any, cpvs: Any) -> list[Any]:
    """Return instances with all data that the resolver reads."""
    keys = sorted(tree.dbapi._aux_cache_keys)
    paths = [[tree.getname(cpv), tree.isremote(cpv), remote(tree, cpv)] for cpv in cpvs]
    found = [(str(cpv), cpv.build_id, cpv.slot, cpv.repo, cpv.mtime, tree.dbapi.aux_get(cpv, keys)) for cpv in cpvs]
    return [found, paths, [sorted(map(repr, tree.dbapi.cpvdict[tree.dbapi._instance_key(cpv)])) for cpv in cpvs]]


def remote(tree: Any, cpv: Any) -> Any:
    """Return the entry of an instance in the index of its binhost."""
    if not tree._remotepkgs:
        return None
    entry = tree._remotepkgs.get(tree.dbapi._instance_key(cpv))
    location = tree.get_local_repo_location(cpv) if entry else None
    return entry and (sorted(entry.items()), location, tree.get_pkgindex_uri(cpv), tree.dbapi.getfetchsizes(cpv))


def cp_list(tree: Any, name: str) -> Any:
    return describe(tree, tree.dbapi.cp_list(name))


def match(tree: Any, name: str) -> Any:
    return describe(tree, tree.dbapi.match(f">={name}-0")) if name[:1].isalpha() else None


def cp_all(tree: Any, _name: str) -> Any:
    return tree.dbapi.cp_all(), len(tree.dbapi.cpdict), bool(tree.dbapi.cpdict)


def cpv_all(tree: Any, _name: str) -> Any:
    return describe(tree, tree.dbapi.cpv_all()), len(tree.dbapi.cpvdict)


def categories(tree: Any, _name: str) -> Any:
    return tree.dbapi.categories


def exists(tree: Any, name: str) -> Any:
    return tree.dbapi.cpv_exists(f"{name}-1.0"), name in tree.dbapi.cpdict, tree.dbapi.cpdict.get(name)


def removed(tree: Any, name: str) -> Any:
    """The newest of a name goes, as Portage takes one out that it writes anew."""
    return without(tree, tree.dbapi.cp_list(name)[-1:])


def emptied(tree: Any, name: str) -> Any:
    return without(tree, tree.dbapi.cp_list(name))


def without(tree: Any, cpvs: Any) -> Any:
    for cpv in cpvs:
        tree.dbapi.cpv_remove(cpv)
        if tree._remotepkgs is not None:
            tree._remotepkgs.pop(tree.dbapi._instance_key(cpv), None)
        tree._pkg_paths.pop(tree.dbapi._instance_key(cpv), None)
    return tree.dbapi.cp_all()


def injected(tree: Any, name: str) -> Any:
    """One more of a name comes, as one on a binhost does."""
    from portage.versions import _pkg_str

    if not name[:1].isalpha():
        return None
    metadata = tree.dbapi._aux_cache_slot_dict(
        {"SLOT": "0", "EAPI": "8", "repository": "x", "BUILD_ID": "77", "SIZE": "5", "BUILD_TIME": "9", "_mtime_": "9"}
    )
    tree.dbapi.cpv_inject(_pkg_str(f"{name}-9.9", metadata=metadata, settings=tree.settings, db=tree.dbapi))
    return [(str(cpv), cpv.build_id) for cpv in tree.dbapi.cp_list(name)], tree.dbapi.cp_all()


def pickled(tree: Any, _name: str) -> Any:
    copies = pickle.loads(pickle.dumps((dict(tree.dbapi.cpdict), tree._pkg_paths)))
    return [type(one) for one in copies], {name: list(map(str, ones)) for name, ones in copies[0].items()}


def digests(tree: Any, name: str) -> Any:
    """What Portage holds a local package against before it merges it; by name where the view is."""
    with injecting(lambda _: {}) if isinstance(tree.dbapi.cpdict, Names) else nullcontext():
        return [tree._get_digests(cpv) for cpv in tree.dbapi.cp_list(name)]


def lost(tree: Any, _name: str) -> None:
    """The indexes of binhosts that are looked into are no longer what they were, as far as the view can see."""
    for step in getattr(getattr(tree.dbapi.cpdict, "shelf", None), "steps", ()):
        if isinstance(step, Remote):
            step._index._seen = [0, 0, 0, 0]


def header(tree: Any, _name: str) -> Any:
    return tree._pkgindex_header


QUESTIONS = (
    cp_list,
    cp_list,
    cp_list,
    match,
    match,
    cp_all,
    cpv_all,
    categories,
    exists,
    removed,
    emptied,
    injected,
    pickled,
    lost,
    header,
)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else None))
