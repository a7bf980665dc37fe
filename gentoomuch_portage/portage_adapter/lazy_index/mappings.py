"""Portage's dictionaries of binary packages, filled by name when somebody asks for one.

A shelf knows, step by step, where packages come from: PKGDIR, then one binhost after the other. When a key of a name is
first asked for, each step puts in what it has of that name, in Portage's order. Whoever wants to see all of them
makes them ordinary dictionaries, filled as Portage would have done it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from gentoomuch_portage.pkgindex.entry import BadIndex


class Step(Protocol):
    """Where packages come from."""

    def put(self, name: str) -> None:
        """Put all packages of ``cat/pkg`` into the views.

        Raises:
            OSError, BadIndex: they cannot be told; nothing was put.
        """

    def put_all(self) -> None:
        """Put all packages into the views, as Portage does it."""

    def names(self) -> Iterable[str]:
        """All names, in Portage's order; raises as ``put`` does."""


class Shelf:
    """What the views of a tree have read so far."""

    def __init__(self, tree: Any) -> None:
        """Take the place of the dictionaries of a tree; what is in them stays there."""
        self.tree = tree
        self.steps: list[Step] = []
        self._asked: dict[str, int] = {}
        self.dropped: set[str] = set()
        """Names that were taken out; one that came back stands behind all others."""
        self.complete = False
        """Whether nothing is left to be read."""
        dbapi = tree.dbapi
        self.of_name, self.known, self.paths = Names(self), Instances(self), Instances(self)
        self.remotes = Remotes(self)
        for view, before in zip(self.views, (dbapi.cpdict, dbapi.cpvdict, tree._pkg_paths), strict=False):
            dict.update(view, before)
        dbapi.cpdict, dbapi.cpvdict, tree._pkg_paths = self.of_name, self.known, self.paths

    @property
    def views(self) -> tuple["_Filling", ...]:
        """All of them, that by name first."""
        return self.of_name, self.known, self.paths, self.remotes

    def add(self, step: Step, *, there: bool = False) -> None:
        """Let packages come from one place more, behind the others.

        Args:
            there: whether all that it has is in the views.
        """
        self.steps.append(step)
        if there:
            before = len(self.steps) - 1
            self._asked.update({name: before + 1 for name, done in self._asked.items() if done == before})

    def read(self, name: str) -> None:
        """Put the packages of a name into the views, if they are not there."""
        done = self._asked.get(name, 0)
        if self.complete or done == len(self.steps):
            return
        for number, step in enumerate(self.steps[done:], done + 1):
            self._asked[name] = len(self.steps)  # while it puts, it asks
            try:
                step.put(name)
            except (OSError, BadIndex):
                self._asked[name] = number - 1
                self.read_all()
                return

    def names(self) -> list[str]:
        """All names, in Portage's order."""
        for name in [name for name, done in self._asked.items() if done < len(self.steps)]:
            self.read(name)
        if not self.complete:
            try:
                listed = [name for step in self.steps for name in step.names()]
            except (OSError, BadIndex):
                self.read_all()
            else:
                here = dict.fromkeys(dict.__iter__(self.of_name))
                kept = (one for one in listed if (one in here or one not in self._asked) and one not in self.dropped)
                return list(dict.fromkeys(kept) | here)
        return list(dict.__iter__(self.of_name))

    def read_all(self) -> None:
        """Read all as Portage does; what came and went since stays so."""
        if self.complete:
            return
        self.complete = True
        held = [dict(dict.items(one)) for one in self.views]
        for one in self.views:
            dict.clear(one)
        asked: dict[int, list[str]] = {}
        for name, done in self._asked.items():
            asked.setdefault(done, []).append(name)
        for number, step in enumerate((None, *self.steps)):
            if step is not None:
                step.put_all()
            self._as_it_was(asked.get(number, []), held)

    def _as_it_was(self, names: list[str], held: list[dict[Any, Any]]) -> None:
        """Let some names have what they had, and nothing else; what had come since stands behind."""
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
    """The shelf of a tree that still has something to read; None where Portage has read all."""
    view = tree.dbapi.cpdict
    return view.shelf if isinstance(view, Names) and not view.shelf.complete else None


class _Filling(dict[Any, Any]):
    """A dictionary that reads what it is asked for."""

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
        """As of any dictionary."""
        self.shelf.read_all()
        return dict.keys(self)

    def values(self) -> Any:
        """As of any dictionary."""
        self.shelf.read_all()
        return dict.values(self)

    def items(self) -> Any:
        """As of any dictionary."""
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
        """A name that is there may have more to come."""
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
    """Instance -> what the index of its binhost tells of it."""

    def __bool__(self) -> bool:
        """Portage asks it before each key, to save itself the asking; it must not cost more than that."""
        return not self.shelf.complete or dict.__len__(self) > 0
