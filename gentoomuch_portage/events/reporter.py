"""Who hears of a run: the file of ``--gm-json``, and the plugins; whatever they raise, emerge goes on."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pluggy import PluginManager

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import GmError, PluginFailed
from gentoomuch_portage.events.log import Events
from gentoomuch_portage.plan.merge import Done, Merge
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.unmask.ledger import Entry

Follower = Callable[[Mapping[str, Any]], None]
"""Is given each event, and ``{"event": "tick"}`` every second while packages are merged."""
_TASK = "task"
_ASKED = {_TASK: "gm_before_package", "merge": "gm_before_merge"}
"""Phase -> the hook that may refuse it."""


class Watch:
    """Tells of one run what happens, as it happens.

    Attributes:
        run: what names it among all runs of all profiles: milliseconds since the epoch, and the process.
    """

    def __init__(self, plan: Plan, settings: Settings, taking_part: PluginManager, events: Events) -> None:
        self.run = f"{time.time_ns() // 1_000_000}-{os.getpid()}"
        self._plan, self._settings, self._taking_part, self._events = plan, settings, taking_part, events
        self._refused: dict[str, str] = {}
        self._unmasked: list[dict[str, Any]] = []
        self._built: dict[tuple[str, str], float] = {}
        self._phases: dict[tuple[str, str], dict[str, float]] = {}
        self._contained: Mapping[str, str] = {}
        self._followers: list[Follower] = []
        self._failed: set[str] = set()

    def follow(self, follower: Follower) -> None:
        """Let somebody hear all that happens from now on."""
        self._followers.append(follower)

    def contained(self, made: Mapping[str, str]) -> None:
        """Tell which binary packages were built in a container of this run, and where each is kept."""
        self._contained = made

    def begin(self) -> None:
        """Tell that the run begins.

        Raises:
            NoPrivilege: the file of --gm-json cannot be written.
        """
        self._pass_on(self._written("begun", configroot=self._plan.configroot, words=self._plan.words))

    def end(self, status: int, seconds: float) -> None:
        """Tell how the run ended."""
        self._tell(
            "ended", status=status, seconds=round(seconds, 3), words=self._plan.words, configroot=self._plan.configroot
        )

    def refused(self, binpkg: str, where: str, reason: str) -> None:
        """A binary package must not be used."""
        self._refused[binpkg] = reason
        self._tell("refused", binpkg=binpkg, where=where, reason=reason)

    def unmasked(self, entries: Iterable[Entry]) -> None:
        """What this run needed unmasked; told as soon as it is used."""
        for one in entries:
            told = one._asdict()
            self._unmasked.append(told)
            self._tell("unmasked", **told)

    def resolved(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """What emerge is about to do.

        Raises:
            GmError: a plugin is against it.
        """
        self._ask("gm_after_resolve", merges=merges, goal=goal)
        self.planned(merges, goal, jobs, quiet)

    def planned(self, merges: tuple[Merge, ...], goal: str, jobs: int, quiet: bool) -> None:
        """What emerge is about to do, here or in a container; nobody is asked."""
        self._tell(
            "resolved", goal=goal, jobs=jobs, quiet=quiet, process=os.getpid(), words=self._plan.words,
            merges=[one._asdict() for one in merges], refused=self._refused, unmasked=self._unmasked,
        )  # fmt: skip

    def entered(self, merge: Merge, phase: str) -> str | None:
        """A phase of a package begins; why it must not, or None."""
        self.began(merge, phase)
        try:
            if phase in _ASKED:
                self._ask(_ASKED[phase], merge=merge)
        except GmError as error:
            return error.message
        return None

    def began(self, merge: Merge, phase: str) -> None:
        """A phase of a package begins, here or in a container; nobody is asked."""
        self._tell("entered", cpv=merge.cpv, root=merge.root, phase=phase)

    def left(self, merge: Merge, phase: str, status: int, seconds: float) -> None:
        """A phase of a package ended."""
        if phase == _TASK:
            self._built[merge.key] = self._built.get(merge.key, 0) + seconds
        else:
            phases = self._phases.setdefault(merge.key, {})
            phases[phase] = round(phases.get(phase, 0) + seconds, 3)
        told = {"status": status, "seconds": round(seconds, 3)}
        self._tell("left", cpv=merge.cpv, root=merge.root, phase=phase, **told)

    def done(self, merge: Merge, status: int, resources: dict[str, Any]) -> None:
        """A package ended."""
        phases = self._phases.pop(merge.key, {})
        seconds = self._built.pop(merge.key, 0) + phases.get("merge", 0)
        done = Done(status=status, seconds=round(seconds, 3), phases=phases, resources=resources)
        self._tell("package", **self._seen(merge)._asdict(), **done._asdict())
        self._hear("gm_after_package", merge=self._seen(merge), done=done)

    def _seen(self, merge: Merge) -> Merge:
        kept = self._contained.get(merge.name)
        return merge if kept is None else merge._replace(source="container", where=kept)

    def tick(self) -> None:
        """A second has passed."""
        self._lead({"event": "tick"})

    def _written(self, event: str, **more: Any) -> dict[str, Any]:
        return self._events.tell(event, run=self.run, profile=self._plan.profile, **more)

    def _tell(self, event: str, **more: Any) -> None:
        """Tell an event in the midst of a run, which a full disk must not end."""
        try:
            told = self._written(event, **more)
        except (GmError, OSError) as error:
            console.warn(f"events are told no longer: {error}")
            self._events = Events(None)
            told = self._written(event, **more)
        self._pass_on(told)

    def _pass_on(self, told: dict[str, Any]) -> None:
        self._hear("gm_event", event=told)
        self._lead(told)

    def _lead(self, told: Mapping[str, Any]) -> None:
        for follower in tuple(self._followers):
            try:
                follower(told)
            except Exception as error:  # as with plugins: emerge goes on
                self._followers.remove(follower)
                console.warn(f"this run is followed no longer: {type(error).__name__}: {error}")

    def _ask(self, hook: str, **told: Any) -> None:
        for plugin, answer in manager.gather(self._taking_part, hook, plan=self._plan, settings=self._settings, **told):
            raise PluginFailed(plugin, hook, f"{answer!r} was returned, but to refuse is to raise a GmError")

    def _hear(self, hook: str, **told: Any) -> None:
        asked = {"plan": self._plan, "settings": self._settings}
        manager.hear(self._taking_part, hook, failed=self._failed, **asked, **told)
