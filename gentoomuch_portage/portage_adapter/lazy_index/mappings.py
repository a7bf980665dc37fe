# SPDX-License-Identifier: GPL-2.0-or-later
"""Portage's dictionaries of binary packages, which load the entries of a name at its first use.

A shelf has the sources of packages as steps: PKGDIR, then each binhost. At the first use of a key, each step adds its
packages of that name, in Portage's order. An access to all keys loads everything, and the dictionaries are then as
Portage would have filled them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from gentoomuch_portage.pkgindex.entry import BadIndex


class Step(Protocol):
    """A source of packages."""

    def put(self, name: str) -> None:
        """Add all packages of ``cat/pkg`` to the dictionaries.

        Raises:
            OSError, BadIndex: they cannot be read; nothing was added.
        """

    def put_all(self) -> None:
        """Add all packages to the dictionaries, as Portage does."""

    def names(self) -> Iterable[str]:
        """Return all names, in Portage's order; raises as ``put`` does."""


class Shelf:
    """The dictionaries of a tree, and the sources that fill them."""

    def __init__(self, tree: Any) -> None:
        """Replace the dictionaries of a tree; their contents are copied."""
        self.tree = tree
        self.steps: list[Step] = []
        self._asked: dict[str, int] = {}
        self.dropped: set[str] = set()
        """Names that were removed; a name that is added again comes after all others."""
        self.complete = False
        """Whether all entries are loaded."""
        dbapi = tree.dbapi
        self.of_name, self.known, self.paths = Names(self), Instances(self), Instances(self)
        self.remotes = Remotes(self)
        for view, before in zip(self.views, (dbapi.cpdict, dbapi.cpvdict, tree._pkg_paths), strict=False):
            dict.update(view, before)
        dbapi.cpdict, dbapi.cpvdict, tree._pkg_paths = self.of_name, self.known, self.paths

    @property
    def views(self) -> tuple["_Filling", ...]:
        """Return all dictionaries, the one by name first."""
        return self.of_name, self.known, self.paths, self.remotes

    def add(self, step: Step, *, there: bool = False) -> None:
        """Add a source after the others.

        Args:
            there: whether the dictionaries already have all of its packages.
        """
        self.steps.append(step)
        if there:
            before = len(self.steps) - 1
            self._asked.update({name: before + 1 for name, done in self._asked.items() if done == before})

    def read(self, name: str) -> None:
        """Load the packages of a name, unless they are loaded."""
        done = self._asked.get(name, 0)
        if self.complete or done == len(self.steps):
            return
        for number, step in enumerate(self.steps[done:], done + 1):
            self._asked[name] = len(self.steps)  # put() itself reads the dictionaries
            try:
                step.put(name)
            except (OSError, BadIndex):
                self._asked[name] = number - 1
                self.read_all()
                return

    def names(self) -> list[str]:
        """Return all names, in Portage's order."""
        for name in [name for name, done in self._asked.items() if done < len(self.steps)]:
            self.read(name)
        if not self.complete:
            try:
                listed = [name for step in self.steps for name in step.names()]
            except (OSError, BadIndex):
                self.read_all()
            else:
                here = dict.fromkeys(dict.__iter__(self.of_name))
                kept = (
                    name for name in listed if (name in here or name not in self._asked) and name not in self.dropped
                )
                return list(dict.fromkeys(kept) | here)
        return list(dict.__iter__(self.of_name))

    def read_all(self) -> None:
        """Load all entries as Portage does, and keep the changes that were made since."""
        if self.complete:
            return
        self.complete = True
        held = [dict(dict.items(view)) for view in self.views]
        for view in self.views:
            dict.clear(view)
        loaded: dict[int, list[str]] = {}
        for name, done in self._asked.items():
            loaded.setdefault(done, []).append(name)
        for number, step in enumerate((None, *self.steps)):
            if step is not None:
                step.put_all()
            self._as_it_was(loaded.get(number, []), held)

    def _as_it_was(self, names: list[str], held: list[dict[Any, Any]]) -> None:
        """Restore exactly the earlier entries of some names; entries that were added later come last."""
        for name in names:
            for key in [self.tree.dbapi._instance_key(cpv) for cpv in dict.get(self.of_name, name, ())]:
                for view, had in zip(self.views[1:], held[1:], strict=True):
                    if key not in had:
                        dict.pop(view, key, None)
            if name in self.dropped or name not in held[0]:
                dict.pop(self.of_name, name, None)
        these = set(names)
        for view, had in zip(self.views, held, strict=True):
            for key, value in had.items():
                if (key if view is self.of_name else key[0].cp) in these:
                    dict.__setitem__(view, key, value)


def shelf_of(tree: Any) -> Shelf | None:
    """Return the shelf of a tree; None if all entries are loaded."""
    view = tree.dbapi.cpdict
    return view.shelf if isinstance(view, Names) and not view.shelf.complete else None


class _Filling(dict[Any, Any]):
    """A dictionary that reads entries at their first use."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf

    def _ask(self, key: Any) -> None:
        raise NotImplementedError

    def __missing__(self, key: Any) -> Any:
        self._ask(key)
        if dict.__contains__(self, key):
            return dict.__getitem__(self, key)
        raise KeyError(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """Do the same as the method of dict, after loading the entries."""
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
        """Do the same as the method of dict, after loading the entries."""
        self._ask(key)
        return dict.pop(self, key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Do the same as the method of dict, after loading the entries."""
        self._ask(key)
        return dict.setdefault(self, key, default)

    def clear(self) -> None:
        """Remove all entries, and load no more, since Portage fills the dictionary again."""
        self.shelf.complete = True
        dict.clear(self)

    def __iter__(self) -> Iterator[Any]:
        self.shelf.read_all()
        return dict.__iter__(self)

    def __len__(self) -> int:
        self.shelf.read_all()
        return dict.__len__(self)

    def __bool__(self) -> bool:
        return dict.__len__(self) > 0 or len(self) > 0

    def keys(self) -> Any:
        """Do the same as the method of dict, after loading the entries."""
        self.shelf.read_all()
        return dict.keys(self)

    def values(self) -> Any:
        """Do the same as the method of dict, after loading the entries."""
        self.shelf.read_all()
        return dict.values(self)

    def items(self) -> Any:
        """Do the same as the method of dict, after loading the entries."""
        self.shelf.read_all()
        return dict.items(self)

    def __reduce__(self) -> Any:
        self.shelf.read_all()
        return dict, (dict(dict.items(self)),)


class Names(_Filling):
    """``cat/pkg`` -> its instances; knows all names without reading their entries."""

    def _ask(self, key: Any) -> None:
        self.shelf.read(str(key))

    def __getitem__(self, key: Any) -> Any:
        """Load the name first, since an existing name may have more entries to load."""
        self._ask(key)
        return super().__getitem__(key)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self.shelf.dropped.add(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.shelf.names())

    def __len__(self) -> int:
        return len(self.shelf.names())


class Instances(_Filling):
    """Instance -> its metadata, or its path."""

    def _ask(self, key: Any) -> None:
        name = getattr(key[0], "cp", None) if isinstance(key, tuple) and key else None
        if name:
            self.shelf.read(str(name))


class Remotes(Instances):
    """Instance -> its entry in the index of its binhost."""

    def __bool__(self) -> bool:
        """Return True unless it is known to be empty; must be fast, since Portage calls it before each key."""
        return not self.shelf.complete or dict.__len__(self) > 0
