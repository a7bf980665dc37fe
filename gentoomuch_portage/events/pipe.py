# SPDX-License-Identifier: GPL-2.0-or-later
"""Send the progress of emerge in a container to the process that started the container, one JSON object a line.

What is built in a container is not trusted, and code that was merged there could write to the pipe. So each line must
have a known form, and names must be plain ASCII. Events are shown and recorded, and can keep a package from leaving the
container. Only a list that arrives before the code of any ebuild runs can let one leave it (``containers.resolution``).
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

from gentoomuch_portage.plan.merge import GOALS, Merge
from gentoomuch_portage.plugins.hookspec import RunListener

LINE = 4 << 20
"""Maximum length of a line in bytes; a list of ten thousand packages is shorter."""
_CPV = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*/[A-Za-z0-9_][A-Za-z0-9+_.-]*")
"""Source: PMS, names of categories, packages and versions."""
_PHASES = frozenset({
    "task", "fetch", "clean", "depend", "pretend", "setup", "unpack", "prepare", "configure", "compile", "test",
    "install", "package", "instprep", "merge", "preinst", "postinst", "prerm", "postrm", "cleanrm", "nofetch",
    "config", "info", "other",
})  # fmt: skip
"""Source: portage.const.EBUILD_PHASES, ebuild(1), and the phases of ``observability.notify``."""
_PLAIN = re.compile(r"[ -~]{0,4096}")
_DAY = 86400.0
_MAX_EVENTS = 4 * len(_PHASES)
"""Events for each package, on average; all further events of a container are ignored."""


class PipeWriter(RunListener):
    """The listener inside a container: writes each notification to a pipe.

    It does not report what is unmasked or rejected there: the process outside does that for what it merges.
    """

    def __init__(self, number: int, *, remote: bool = False) -> None:
        """Initialize.

        Args:
            number: the descriptor of the pipe.
            remote: whether another kernel reads it, which sees files only after this one has written them out.
        """
        self._number, self._remote = number, remote

    @classmethod
    def open(cls, pipe: Path) -> Self | None:
        """Open a named pipe, or a port of a virtual machine; return None if it is missing, or no process reads it."""
        with suppress(OSError):
            number = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            mode = os.fstat(number).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                os.set_blocking(number, True)
                return cls(number, remote=stat.S_ISCHR(mode))
            os.close(number)
        return None

    def on_resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """Send the list of packages."""
        self._send("resolved", merges=[merge._asdict() for merge in merges], goal=goal, jobs=jobs, quiet=quiet)

    def on_phase_start(self, merge: Merge, phase: str) -> str | None:
        """Send the start of a phase."""
        self._send("phase-started", key=merge.key, phase=phase)
        return None

    def on_phase_end(self, merge: Merge, phase: str, status: int, seconds: float) -> None:
        """Send the end of a phase."""
        self._send("phase-ended", key=merge.key, phase=phase, status=status, seconds=seconds)

    def on_package_end(self, merge: Merge, status: int, resources: dict[str, Any]) -> None:
        """Send the result of a package, whose file is then complete; a container has no cgroup that was measured."""
        if self._remote:
            os.sync()
        self._send("done", key=merge.key, status=status)

    def on_tick(self) -> None:
        """Send that a second has passed."""
        self._send("tick")

    def _send(self, event: str, **more: Any) -> None:
        with suppress(BrokenPipeError):  # the reader was killed, and ends the container
            rest = memoryview(json.dumps({"event": event, **more}).encode() + b"\n")
            while rest:
                rest = rest[os.write(self._number, rest) :]


Action = Callable[[], object]


def _ignore() -> None:
    """Do nothing for a line that is not valid."""


class PipeReader:
    """The reader outside a container: notifies a listener of what a ``PipeWriter`` sends.

    ``finish`` reports the results of packages, because a container does not know whether they are merged.
    """

    def __init__(self, listener: RunListener, root: str) -> None:
        """Initialize.

        Args:
            root: the ROOT outside that is ``/`` in the container.
        """
        self._listener, self._root = listener, root
        self._merges: dict[tuple[str, str], Merge] = {}
        self._statuses: dict[tuple[str, str], int] = {}
        self._remaining = 0

    def read_line(self, line: bytes) -> None:
        """Process a line; ignore one that is not valid."""
        try:
            action = self._parse(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            return
        action()

    def finish(self, *, merged: bool) -> None:
        """Report the results of packages.

        Args:
            merged: whether the packages that did not fail were merged.
        """
        for key, status in self._statuses.items():
            if status or merged:
                self._listener.on_package_end(self._merges[key], status, {})

    def _parse(self, fields: Mapping[str, Any]) -> Action:
        """Return what to do for a line; nothing is done yet."""
        if fields["event"] == "tick":
            return self._listener.on_tick
        if fields["event"] == "resolved" and not self._merges and fields["goal"] in GOALS:  # sent once
            merges = {merge.key: self._translate(merge) for merge in read_merges(fields["merges"])}
            return partial(self._start, merges, fields["goal"], int(fields["jobs"]), fields["quiet"] is True)
        if self._remaining:
            return self._parse_package(fields["event"], (str(fields["key"][0]), str(fields["key"][1])), fields)
        return _ignore

    def _parse_package(self, event: str, key: tuple[str, str], fields: Mapping[str, Any]) -> Action:
        merge, phase = self._merges[key], str(fields.get("phase"))
        self._remaining -= 1
        if event == "done":
            return partial(self._statuses.__setitem__, key, int(fields["status"]))
        if event == "phase-started" and phase in _PHASES:
            return partial(self._listener.on_container_phase_start, merge, phase)
        if event == "phase-ended" and phase in _PHASES:
            seconds = min(max(0.0, float(fields["seconds"])), _DAY)
            return partial(self._listener.on_phase_end, merge, phase, int(fields["status"]), seconds)
        return _ignore

    def _start(self, merges: dict[tuple[str, str], Merge], goal: str, jobs: int, quiet: bool) -> None:
        self._merges, self._remaining = merges, _MAX_EVENTS * len(merges)
        jobs = max(1, min(jobs, len(merges)))
        self._listener.on_container_resolved(tuple(merges.values()), goal, jobs, quiet)

    def _translate(self, merge: Merge) -> Merge:
        """Describe a package as the user outside sees it."""
        root = self._root if merge.root == "/" else merge.root
        return merge._replace(root=root, source="binpkg" if merge.source == "binpkg" else "container")


def read_merges(merges: Iterable[Mapping[str, Any]]) -> list[Merge]:
    """Parse the list of a ``resolved`` event.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: an entry is not one that ``PipeWriter`` writes.
    """
    return [_read_merge(merge) for merge in merges]


def _read_merge(merge: Mapping[str, Any]) -> Merge:
    names = ("slot", "root", "repository", "where", "patches")
    return Merge(
        **{name: _match(_PLAIN, merge[name]) for name in names},
        cpv=_match(_CPV, merge["cpv"]),
        source="binpkg" if merge["source"] == "binpkg" else "ebuild",
        build_id=int(merge["build_id"]),
        use=tuple(_match(_PLAIN, flag) for flag in merge["use"]),
    )


def _match(form: re.Pattern[str], text: object) -> str:
    if not isinstance(text, str) or not form.fullmatch(text):
        raise ValueError(text)
    return text
