"""``python views.py PKGDIR SEED ROUNDS``: two views of a folder of packages, by name and as a whole.

Run on a host. Each round makes both views anew and asks, changes and pickles them in a random order; the first answer
that differs ends it with status 1.
"""

import pickle
import random
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter.injecting import injecting
from gentoomuch_portage.portage_adapter.ondemand import Names, ondemand
from gentoomuch_portage.portage_adapter.pkgdir import pkgdir


def main(folder: Path, seed: int, rounds: int) -> int:
    """Ask; the exit status."""
    dice = random.Random(seed)
    base = pkgdir(folder).tree
    base.populate()
    known = sorted({cpv.cp for cpv in base.dbapi.cpv_all()})
    names = [*known, "dev-demo/nothing", "no-such/thing", "../etc", "*/*"]
    for number in range(rounds):
        plain, filling = fresh(folder, by_name=False), fresh(folder, by_name=True)
        assert isinstance(filling.dbapi.cpdict, Names)
        for step in range(dice.randint(1, 12)):
            question, name = dice.choice(QUESTIONS), dice.choice(names)
            one, other = question(plain, name), question(filling, name)
            if one != other:
                print(f"round {number}, step {step}: {question.__name__} {name}:\n{one}\n{other}")
                return 1
    print(f"{rounds} rounds, {len(known)} names: equal")
    return 0


def fresh(folder: Path, *, by_name: bool) -> Any:
    tree = pkgdir(folder).tree
    with ondemand() if by_name else nullcontext():
        tree.populate()
    return tree


def told(tree: Any, cpvs: Any) -> list[Any]:
    """Instances with all that the resolver may ask of them."""
    keys = sorted(tree.dbapi._aux_cache_keys)
    paths = [tree.getname(cpv) for cpv in cpvs]
    found = [(str(cpv), cpv.build_id, cpv.slot, cpv.repo, cpv.mtime, tree.dbapi.aux_get(cpv, keys)) for cpv in cpvs]
    return [found, paths, [sorted(map(repr, tree.dbapi.cpvdict[tree.dbapi._instance_key(cpv)])) for cpv in cpvs]]


def cp_list(tree: Any, name: str) -> Any:
    return told(tree, tree.dbapi.cp_list(name))


def match(tree: Any, name: str) -> Any:
    return told(tree, tree.dbapi.match(f">={name}-0")) if name[:1].isalpha() else None


def cp_all(tree: Any, _name: str) -> Any:
    return tree.dbapi.cp_all(), len(tree.dbapi.cpdict), bool(tree.dbapi.cpdict)


def cpv_all(tree: Any, _name: str) -> Any:
    return told(tree, tree.dbapi.cpv_all()), len(tree.dbapi.cpvdict)


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
    header,
)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
