# SPDX-License-Identifier: GPL-2.0-or-later
"""Record the events of a run, and notify plugins and followers. Emerge continues if any of them fails."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from gentoomuch_portage import console, fs
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.plan.merge import Merge, PackageResult
from gentoomuch_portage.plugins.hookspec import Follower
from gentoomuch_portage.plugins.manager import Dispatcher
from gentoomuch_portage.portage_adapter.binpkg import Binpkg
from gentoomuch_portage.unmask.ledger import Entry

_TASK = "task"
_CHECKS = {_TASK: "gm_before_package", "merge": "gm_before_merge"}
"""Phase -> the hook that may reject it."""


class EventLog(NamedTuple):
    """Where events are written, one JSON object a line: ``--gm-json=FILE``; nowhere without a file or a descriptor."""

    file: Path | None
    stdout: int | None = None

    @classmethod
    def open(cls, destination: str | None) -> Self:
        """Return the log of ``--gm-json=``; with ``-`` only events go to stdout, and other output to stderr."""
        if destination == "-":
            return cls(None, console.move_stdout_to_stderr())
        return cls(Path(destination).absolute() if destination else None)

    def append(self, event: str, **more: Any) -> dict[str, Any]:
        """Append an event, and return it: ``{"event", "at", ...}``, ``at`` in seconds since the epoch.

        Several processes may append, as packages are checked in a fork.

        Raises:
            NoPrivilege: it cannot be written.
        """
        fields = {"event": event, "at": round(time.time(), 3), **more}
        if self.stdout is not None:
            fs.write_line(self.stdout, "standard output", json.dumps(fields, sort_keys=True))
        if self.file is not None:
            fs.append(self.file, json.dumps(fields, sort_keys=True))
        return fields


class RunReporter:
    """The ``RunListener`` of a run.

    Attributes:
        run: identifies the run among those of all profiles: milliseconds since the epoch, and the process.
    """

    def __init__(self, dispatcher: Dispatcher, log: EventLog) -> None:
        self.run = f"{time.time_ns() // 1_000_000}-{os.getpid()}"
        self._dispatcher, self._plan, self._log = dispatcher, dispatcher.plan, log
        self._rejected: dict[str, str] = {}
        self._unmasked: list[dict[str, Any]] = []
        self._task_seconds: dict[tuple[str, str], float] = {}
        self._phase_seconds: dict[tuple[str, str], dict[str, float]] = {}
        self._container_files: Mapping[str, str] = {}
        self._followers: list[Follower] = []

    def follow(self, follower: Follower) -> None:
        """Call a function with each event from now on."""
        self._followers.append(follower)

    def start(self) -> None:
        """Report the start of the run.

        Raises:
            NoPrivilege: the file of --gm-json cannot be written.
        """
        self._publish(self._append("started", configroot=self._plan.configroot, arguments=self._plan.arguments))

    def finish(self, status: int, seconds: float) -> None:
        """Report the result of the run."""
        self._report(
            "ended",
            status=status,
            seconds=round(seconds, 3),
            arguments=self._plan.arguments,
            configroot=self._plan.configroot,
        )

    def on_binpkg_rejected(self, binpkg: Binpkg, reason: str) -> None:
        """Report a binary package that is not used."""
        self._rejected[binpkg.name] = reason
        self._report("rejected", binpkg=binpkg.name, where=binpkg.where, reason=reason)

    def on_unmasked(self, entries: Iterable[Entry]) -> None:
        """Report what the run has unmasked."""
        for entry in entries:
            self._unmasked.append(entry._asdict())
            self._report("unmasked", **entry._asdict())

    def on_resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """Let plugins check the list of packages, and report it.

        Raises:
            GmError: a plugin rejects it.
        """
        self._dispatcher.check("gm_after_resolve", merges=merges, goal=goal)
        self.on_container_resolved(merges, goal, jobs, quiet)

    def on_container_resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """Report the list of packages."""
        self._report(
            "resolved", goal=goal, jobs=jobs, quiet=quiet, process=os.getpid(), arguments=self._plan.arguments,
            merges=[merge._asdict() for merge in merges], rejected=self._rejected, unmasked=self._unmasked,
        )  # fmt: skip

    def on_phase_start(self, merge: Merge, phase: str) -> str | None:
        """Report the start of a phase; return why it must not start, or None."""
        self.on_container_phase_start(merge, phase)
        try:
            if phase in _CHECKS:
                self._dispatcher.check(_CHECKS[phase], merge=merge)
        except GmError as error:
            return error.message
        return None

    def on_container_phase_start(self, merge: Merge, phase: str) -> None:
        """Report the start of a phase."""
        self._report("phase-started", cpv=merge.cpv, root=merge.root, phase=phase)

    def on_phase_end(self, merge: Merge, phase: str, status: int, seconds: float) -> None:
        """Report the end of a phase."""
        if phase == _TASK:
            self._task_seconds[merge.key] = self._task_seconds.get(merge.key, 0) + seconds
        else:
            phases = self._phase_seconds.setdefault(merge.key, {})
            phases[phase] = round(phases.get(phase, 0) + seconds, 3)
        self._report(
            "phase-ended", cpv=merge.cpv, root=merge.root, phase=phase, status=status, seconds=round(seconds, 3)
        )

    def on_package_end(self, merge: Merge, status: int, resources: dict[str, Any]) -> None:
        """Report the result of a package."""
        phases = self._phase_seconds.pop(merge.key, {})
        seconds = self._task_seconds.pop(merge.key, 0) + phases.get("merge", 0)
        done = PackageResult(status=status, seconds=round(seconds, 3), phases=phases, resources=resources)
        if file := self._container_files.get(merge.name):
            merge = merge._replace(source="container", where=file)
        self._report("package", **merge._asdict(), **done._asdict())
        self._dispatcher.notify("gm_after_package", merge=merge, done=done)

    def on_container_built(self, files: Mapping[str, str]) -> None:
        """Note which binary packages were built in a container of this run."""
        self._container_files = files

    def on_tick(self) -> None:
        """Notify the followers."""
        self._notify_followers({"event": "tick"})

    def _append(self, event: str, **more: Any) -> dict[str, Any]:
        return self._log.append(event, run=self.run, profile=self._plan.profile, **more)

    def _report(self, event: str, **more: Any) -> None:
        """Append an event to the log and publish it; a full disk disables the log."""
        try:
            fields = self._append(event, **more)
        except (GmError, OSError) as error:
            console.warning(f"event log disabled: {error}")
            self._log = EventLog(None)
            fields = self._append(event, **more)
        self._publish(fields)

    def _publish(self, fields: dict[str, Any]) -> None:
        self._dispatcher.notify("gm_event", event=fields)
        self._notify_followers(fields)

    def _notify_followers(self, fields: Mapping[str, Any]) -> None:
        for follower in tuple(self._followers):
            try:
                follower(fields)
            except Exception as error:  # as with plugins: emerge continues
                self._followers.remove(follower)
                console.warning(f"progress display disabled: {type(error).__name__}: {error}")
