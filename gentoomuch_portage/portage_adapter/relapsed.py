"""Masks that were lifted, and that tell of a vulnerability by now: they hold again."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.portage_adapter import masktexts
from gentoomuch_portage.portage_adapter.swap import swapped

Lifted = Callable[[], Iterable[Entry]]
"""The entries that were granted before this run; what it grants itself is not looked at again."""


@contextmanager
def relapsed(lifted: Lifted, tell: Callable[[Entry], object]) -> Iterator[None]:
    """As long as the block runs, emerge resolves as if such an entry were not there.

    Args:
        tell: called once for each.
    """
    from _emerge import actions

    told: set[Entry] = set()

    def looked(config: Any) -> None:
        for entry in _unlifted(config, lifted()):
            if entry not in told:
                tell(entry)
            told.add(entry)

    def resolving(plain: Any) -> Any:
        def resolve(emerge_config: Any, *rest: Any) -> Any:
            looked(emerge_config)
            return plain(emerge_config, *rest)

        return resolve

    def reloading(plain: Any) -> Any:
        def reload(emerge_config: Any, *rest: Any) -> Any:
            done = plain(emerge_config, *rest)
            looked(emerge_config)
            return done

        return reload

    with ExitStack() as held:
        for name, wrap in (("_resolve_in_process", resolving), ("_reload_config", reloading)):
            held.enter_context(swapped(actions, name, wrap(getattr(actions, name))))
        yield


def _unlifted(config: Any, entries: Iterable[Entry]) -> list[Entry]:
    """Take the lines of such entries out of what Portage has read; the entries."""
    found = []
    for entry in entries:
        if entry.kind != "mask" or "*" in entry.atom:  # many packages at once are the user's own word
            continue
        unsafe = [trees["vartree"].settings for trees in config.trees.values() if _unsafe(entry, trees)]
        for settings in unsafe:
            _drop(settings, entry.atom)
        found += [entry] if unsafe else []
    return found


def _unsafe(entry: Entry, trees: Any) -> bool:
    settings = trees["vartree"].settings
    offered = trees["porttree"].dbapi.xmatch("match-all", entry.atom)
    return any(masktexts.unsafe_since(entry, cpv, cpv.repo, settings) for cpv in offered)


def _drop(settings: Any, atom: str) -> None:
    """Take a line of package.unmask away; Portage's clones of a configuration share this table."""
    from portage.dep import Atom

    lifted, cp = settings._mask_manager._punmaskdict, Atom(atom, allow_repo=True).cp
    lifted[cp] = tuple(one for one in lifted.get(cp, ()) if one != atom)
