"""What emerge does in a box, told to who runs the box: a line an event, through a pipe.

What is built in a box is not trusted, and it shares the pipe's other end: each line is held to a form, names are
plain ASCII, and nothing that is told decides anything. It is shown, and recorded.
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gentoomuch_portage.ledger import Entry
from gentoomuch_portage.merges import GOALS, Merge
from gentoomuch_portage.watch import Follower, Watch

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
            told = json.loads(line)
            self._take(told["event"], told)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return

    def end(self, *, merged: bool) -> None:
        """Tell how packages ended.

        Args:
            merged: whether those that did not fail are where the user wanted them.
        """
        for key, status in self._ended.items():
            if status or merged:
                self._watch.done(self._merges[key], status, {})

    def _take(self, event: str, told: Mapping[str, Any]) -> None:
        if event == "tick":
            self._watch.tick()
        elif event == "resolved":
            self._resolved(told)
        elif self._more:
            self._more -= 1
            self._package(event, (str(told["key"][0]), str(told["key"][1])), told)

    def _package(self, event: str, key: tuple[str, str], told: Mapping[str, Any]) -> None:
        merge = self._merges[key]
        if event == "done":
            self._ended[key] = int(told["status"])
        elif told["phase"] in _PHASES and event == "entered":
            self._watch.began(merge, told["phase"])
        elif told["phase"] in _PHASES and event == "left":
            seconds = min(max(0.0, float(told["seconds"])), _DAY)
            self._watch.left(merge, told["phase"], int(told["status"]), seconds)

    def _resolved(self, told: Mapping[str, Any]) -> None:
        """The list, which a box tells once."""
        if not self._merges and told["goal"] in GOALS:
            self._merges = {(str(one["root"]), str(one["cpv"])): self._merge(one) for one in told["merges"]}
            self._more = _MOST * len(self._merges)
            jobs = max(1, min(int(told["jobs"]), len(self._merges)))
            self._watch.planned(tuple(self._merges.values()), told["goal"], jobs, told["quiet"] is True)

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
