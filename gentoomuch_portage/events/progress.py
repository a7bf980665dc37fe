# SPDX-License-Identifier: GPL-2.0-or-later
"""Describe the progress and the remaining time of a run in one line."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gentoomuch_portage.events.estimate import Kind, format_duration, remaining

Usual = Callable[[Sequence[Mapping[str, Any]]], Mapping[Kind, float]]
"""Returns the usual seconds of the packages of a list, by kind."""
_MAX_NAMES = 2
"""Number of running packages that are named."""


class Progress:
    """Follows the events of a run.

    Attributes:
        quiet: whether to show nothing: with ``--quiet``, or without packages.
    """

    def __init__(self, usual: Usual, named: Callable[[str], str], clock: Callable[[], float] = time.monotonic) -> None:
        """Initialize.

        Args:
            usual: is called once, when the list is known.
            named: returns ``cat/pkg`` of a cpv.
            clock: returns seconds since any point in time.
        """
        self.quiet = True
        self._usual, self._named, self._clock = usual, named, clock
        self._took: Mapping[Kind, float] = {}
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._begun: dict[tuple[str, str], float] = {}
        self._phases: dict[tuple[str, str], str] = {}
        self._done: dict[tuple[str, str], int] = {}
        self._jobs = 1

    def update(self, event: Mapping[str, Any]) -> None:
        """Process an event."""
        match event["event"]:
            case "resolved":
                self._begin(event)
            case "phase-started" if event["phase"] == "task":
                self._begun[_key(event)] = self._clock()
            case "phase-started":
                self._phases[_key(event)] = event["phase"]
            case "package":
                self._done[_key(event)] = event["status"]
            case "ended":
                self.quiet = True

    def _begin(self, event: Mapping[str, Any]) -> None:
        merges = event["merges"]
        self.quiet = event["quiet"] or not merges
        self._begun, self._phases, self._done = {}, {}, {}
        if not self.quiet:
            self._jobs = event["jobs"]
            self._kinds = {_key(merge): (self._named(merge["cpv"]), merge["source"]) for merge in merges}
            self._took = self._usual(merges)

    def line(self) -> str:
        """``1 of 7 done; dev-libs/foo-1 compile, dev-libs/bar-2 merge; about 12 min left``."""
        running = [key for key in self._begun if key not in self._done]
        failed = sum(map(bool, self._done.values()))
        texts = [f"{len(self._done) - failed} of {len(self._kinds)} done{f', {failed} failed' if failed else ''}"]
        if running:
            names = [f"{key[1]} {self._phases.get(key, '')}".rstrip() for key in running[:_MAX_NAMES]]
            more = [f"{len(running) - _MAX_NAMES} more"] if len(running) > _MAX_NAMES else []
            texts.append(", ".join([*names, *more]))
        return "; ".join([*texts, *self._describe_remaining(running)])

    def _describe_remaining(self, running: Sequence[tuple[str, str]]) -> list[str]:
        """Return the remaining time, as far as it is known."""
        waiting = [key for key in self._kinds if key not in self._begun and key not in self._done]
        unknown = sum(self._kinds[key] not in self._took for key in (*running, *waiting))
        now = self._clock()
        going = [
            max(1.0, self._took[self._kinds[key]] - (now - self._begun[key])) for key in running if self._known(key)
        ]
        seconds = remaining(going, [self._took[self._kinds[key]] for key in waiting if self._known(key)], self._jobs)
        if unknown == len(running) + len(waiting):
            return []
        besides = f" besides {unknown} never built before" if unknown else ""
        return [f"about {format_duration(seconds)} left{besides}"]

    def _known(self, key: tuple[str, str]) -> bool:
        return self._kinds[key] in self._took


def _key(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["root"], event["cpv"]
