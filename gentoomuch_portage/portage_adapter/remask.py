# SPDX-License-Identifier: GPL-2.0-or-later
"""Apply masks again that were lifted before they named a vulnerability."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from _emerge import actions
from portage.dep import Atom

from gentoomuch_portage.portage_adapter import private_api
from gentoomuch_portage.portage_adapter.masks import unsafe_since
from gentoomuch_portage.portage_adapter.patching import swapped
from gentoomuch_portage.unmask.ledger import Entry

Lifted = Callable[[], Iterable[Entry]]
"""Returns the entries that were granted before this run; those of the run itself are not checked again."""


@private_api.optional(private_api.REMASK)
@contextmanager
def relapsed(lifted: Lifted, tell: Callable[[Entry], object]) -> Iterator[None]:
    """Let emerge resolve without the entries whose masks name a vulnerability now, while the block runs.

    Args:
        tell: called once with each such entry.
    """
    reported: set[Entry] = set()

    def looked(config: Any) -> None:
        for entry in _unlifted(config, lifted()):
            if entry not in reported:
                tell(entry)
            reported.add(entry)

    def building(plain: Any) -> Any:
        @functools.wraps(plain)
        def build(emerge_config: Any, *rest: Any, **named: Any) -> Any:
            if "--resume" not in emerge_config.opts:
                looked(emerge_config)
            return plain(emerge_config, *rest, **named)

        return build

    def loading(plain: Any) -> Any:
        @functools.wraps(plain)
        def load(*args: Any, **named: Any) -> Any:
            config = plain(*args, **named)
            looked(config)
            return config

        return load

    with ExitStack() as held:
        for name, wrap in (("action_build", building), ("load_emerge_config", loading)):
            held.enter_context(swapped(actions, name, wrap(getattr(actions, name))))
        yield


def _unlifted(config: Any, entries: Iterable[Entry]) -> list[Entry]:
    """Remove the lines of unsafe entries from the loaded configuration; return these entries."""
    removed = []
    for entry in entries:
        if entry.kind != "mask" or "*" in entry.atom:  # only the user writes entries for many packages
            continue
        unsafe = [trees["vartree"].settings for trees in config.trees.values() if _unsafe(entry, trees)]
        for settings in unsafe:
            _drop(settings, entry.atom)
        removed += [entry] if unsafe else []
    return removed


def _unsafe(entry: Entry, trees: Any) -> bool:
    settings = trees["vartree"].settings
    offered = trees["porttree"].dbapi.xmatch("match-all", entry.atom)
    return any(unsafe_since(entry, cpv, cpv.repo, settings) for cpv in offered)


def _drop(settings: Any, atom: str) -> None:
    """Remove a line of package.unmask from the loaded table, which Portage's clones of a configuration share."""
    lifted, cp = settings._mask_manager._punmaskdict, Atom(atom, allow_repo=True).cp
    lifted[cp] = tuple(line for line in lifted.get(cp, ()) if line != atom)
