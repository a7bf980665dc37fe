"""What emerge does in a box, told to who runs the box: a line an event, through a pipe.

What is built in a box is not trusted, and it shares the pipe's other end: each line is held to a form, names are
plain ASCII, and nothing that is told decides anything. It is shown, and recorded.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from gentoomuch_portage.events.reporter import Follower, Watch
from gentoomuch_portage.plan.merge import GOALS, Merge
from gentoomuch_portage.unmask.ledger import Entry

LINE = 4 << 20
"""Bytes; a list of ten thousand packages has fewer."""
_CPV = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*/[A-Za-z0-9_][A-Za-z0-9+_.-]*")
"""Source: PMS, names of categories, packages and versions."""
_PHASES = frozenset({
    "task", "fetch", "clean", "depend", "pretend", "setup", "unpack", "prepare", "configure", "compile", "test",
    "install", "package", "instprep", "merge", "preinst", "postinst", "prerm", "postrm", "cleanrm", "nofetch",
    "config", "info", "other",
})  # fmt: skip
"""Source: portage.const.EBUILD_PHASES, ebuild(1), and what ``watching`` times besides."""
_PLAIN = re.compile(r"[ -~]{0,4096}")
_DAY = 86400.0
_MOST = 4 * len(_PHASES)
"""Events a package, on average: a box that tells more is not heard any longer."""


class Teller:
    """In the box: a listener of emerge's that passes on what it hears."""

    def __init__(self, number: int) -> None:
        """Tell.

        Args:
            number: the descriptor of the pipe's end.
        """
        self._number = number

    @classmethod
    def into(cls, pipe: Path) -> Self | None:
        """One that tells into a named pipe; None where there is none, or nobody listens."""
        with suppress(OSError):
            number = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.set_blocking(number, True)
                return cls(number)
            os.close(number)
        return None

    def resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """Tell what emerge is about to do."""
        self._tell("resolved", merges=[one._asdict() for one in merges], goal=goal, jobs=jobs, quiet=quiet)

    def entered(self, merge: Merge, phase: str) -> str | None:
        """Tell that a phase begins."""
        self._tell("entered", key=merge.key, phase=phase)
        return None

    def left(self, merge: Merge, phase: str, status: int, seconds: float) -> None:
        """Tell that a phase ended."""
        self._tell("left", key=merge.key, phase=phase, status=status, seconds=seconds)

    def done(self, merge: Merge, status: int, resources: dict[str, Any]) -> None:
        """Tell that a package ended; a box has no cgroup of its own that was counted."""
        self._tell("done", key=merge.key, status=status)

    def tick(self) -> None:
        """Tell that a second has passed."""
        self._tell("tick")

    def unmasked(self, entries: Iterable[Entry]) -> None:
        """Nothing: what is merged from the box is unmasked, and recorded, outside."""

    def follow(self, follower: Follower) -> None:
        """Nothing: a box's run is followed outside."""

    def _tell(self, event: str, **more: Any) -> None:
        with suppress(BrokenPipeError):  # who listened was killed, and takes the box along
            left = memoryview(json.dumps({"event": event, **more}).encode() + b"\n")
            while left:
                left = left[os.write(self._number, left) :]


Act = Callable[[], object]


def _nothing() -> None:
    """What is not understood asks for."""


class Hearer:
    """Outside: passes on to a watch what a box tells.

    A package's end is passed on by ``end`` alone, as the box does not know whether the package is merged from it.
    """

    def __init__(self, watch: Watch, root: str) -> None:
        """Hear.

        Args:
            root: what the box's ``/`` is outside.
        """
        self._watch, self._root = watch, root
        self._merges: dict[tuple[str, str], Merge] = {}
        self._ended: dict[tuple[str, str], int] = {}
        self._more = 0

    def hear(self, line: bytes) -> None:
        """Take a line in; one that is not in order is passed over."""
        try:
            act = self._understood(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            return
        act()

    def end(self, *, merged: bool) -> None:
        """Tell how packages ended.

        Args:
            merged: whether those that did not fail are where the user wanted them.
        """
        for key, status in self._ended.items():
            if status or merged:
                self._watch.done(self._merges[key], status, {})

    def _understood(self, told: Mapping[str, Any]) -> Act:
        """What a line asks for; nothing is done yet."""
        if told["event"] == "tick":
            return self._watch.tick
        if told["event"] == "resolved" and not self._merges and told["goal"] in GOALS:  # a box tells that once
            merges = {(str(one["root"]), str(one["cpv"])): self._merge(one) for one in told["merges"]}
            return partial(self._plan, merges, told["goal"], int(told["jobs"]), told["quiet"] is True)
        if self._more:
            return self._of_package(told["event"], (str(told["key"][0]), str(told["key"][1])), told)
        return _nothing

    def _of_package(self, event: str, key: tuple[str, str], told: Mapping[str, Any]) -> Act:
        merge, phase = self._merges[key], str(told.get("phase"))
        self._more -= 1
        if event == "done":
            return partial(self._ended.__setitem__, key, int(told["status"]))
        if event == "entered" and phase in _PHASES:
            return partial(self._watch.began, merge, phase)
        if event == "left" and phase in _PHASES:
            seconds = min(max(0.0, float(told["seconds"])), _DAY)
            return partial(self._watch.left, merge, phase, int(told["status"]), seconds)
        return _nothing

    def _plan(self, merges: dict[tuple[str, str], Merge], goal: str, jobs: int, quiet: bool) -> None:
        self._merges, self._more = merges, _MOST * len(merges)
        self._watch.planned(tuple(merges.values()), goal, max(1, min(jobs, len(merges))), quiet)

    def _merge(self, told: Mapping[str, Any]) -> Merge:
        text = {name: _like(_PLAIN, told[name]) for name in ("slot", "root", "repository", "where", "patches")}
        return Merge(
            **{**text, "root": self._root if text["root"] == "/" else text["root"]},
            cpv=_like(_CPV, told["cpv"]),
            source="binpkg" if told["source"] == "binpkg" else "container",
            build_id=int(told["build_id"]),
            use=tuple(_like(_PLAIN, flag) for flag in told["use"]),
        )


def _like(form: re.Pattern[str], told: object) -> str:
    if not isinstance(told, str) or not form.fullmatch(told):
        raise ValueError(told)
    return told
