"""What emerge needs unmasked in a run: granted within the policy, and entered in the ledger once it is used."""

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.prepare import lay
from gentoomuch_portage.errors import UsageError
from gentoomuch_portage.plan.plan import Layer, Line, Locked, Plan, Unmask
from gentoomuch_portage.portage_adapter import config
from gentoomuch_portage.unmask import ledger, policy
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import Candidate, Policy

_NOW = "unmasked"
"""Who gives what is granted in a run. Lines stand in the order of their givers: behind those of ``unmask``, the ledger,
so that a flag that is needed now beats its opposite."""


class LockedProfile(UsageError):
    """``--gm-locked``: the run would need something new unmasked."""

    code = "locked"

    def __init__(self, profile: str, needed: Iterable[Entry]) -> None:
        self.needed = tuple(needed)
        lines = "".join(f"\n    {one.kind}: {one.line}" for one in self.needed)
        remedy = f"run it once without --gm-locked, and look at: gentoomuch unmask ls --profile {profile}"
        super().__init__(f"profile {profile} is locked, and this needs unmasked:{lines}", remedy=remedy)


class Grants:
    """Grants of one run.

    Attributes:
        plan: as it stands now; its configroots change with what is granted.
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.plan = plan
        self.settings = settings
        self.needed: tuple[Entry, ...] = ()
        self.locks: list[int] = []
        self._policy: Policy | None = None

    @property
    def possible(self) -> bool:
        """Whether the policy leads emerge's autounmask in this run.

        Where it allows nothing, or the user gives emerge's own words for it, emerge does what it does without a
        profile; a run that is locked leaves nothing to it.
        """
        allowed = [part.allowed for _, part in self.plan.parts if isinstance(part, Unmask)]
        if any(isinstance(part, Locked) for _, part in self.plan.parts):
            return bool(allowed)
        return any(allowed) and not any(map(_leads, self.plan.words))

    def against(self, kind: str, candidate: Candidate) -> str | None:
        """Why a package may not be unmasked, or None."""
        if self._policy is None:
            texts = {part.kind: part.allowed for _, part in self.plan.parts if isinstance(part, Unmask)}
            self._policy = policy.of(texts, _trusted(self.plan))
        return self._policy.against(kind, candidate, _means)

    def grant(self, entries: tuple[Entry, ...]) -> str:
        """The configroot that has these entries besides what the plan has.

        Raises:
            LockedProfile: nothing new may be unmasked.
        """
        if any(isinstance(part, Locked) for _, part in self.plan.parts):
            raise LockedProfile(self.plan.profile, entries)
        today = time.strftime("%Y-%m-%d")
        self.needed = tuple(one._replace(since=today) for one in entries)
        before = tuple(one for one in self.plan.parts if one[0] != _NOW)
        lines = tuple((_NOW, Line(ledger.FILES[one.kind], one.line)) for one in entries)
        self.plan, locks = lay(replace(self.plan, parts=(*before, *lines)), self.settings)
        self.locks += locks
        return self.plan.configroot

    def settle(self) -> None:
        """Enter what was granted in the ledger."""
        new = self.needed
        ledger.change(self.settings.state, self.plan.profile, lambda before: ledger.joined(before, new))

    def close(self) -> None:
        """Let the configroots of this run go."""
        for lock in self.locks:
            os.close(lock)
        self.locks.clear()


def _leads(word: str) -> bool:
    """Whether a word of emerge says what autounmask does; that it may backtrack says little, and it does anyway."""
    return word.startswith("--autounmask") and not word.startswith("--autounmask-backtrack")


def _means(atom: str, candidate: Candidate) -> bool:
    return config.means(atom, candidate.cpv, candidate.slot, candidate.repository)


def _trusted(plan: Plan) -> set[str]:
    """The main repository and those that the layers list; all where nothing of the host lies below."""
    import configparser

    configured = list(config.repositories(Path(plan.configroot)))
    if plan.base == "none":
        return set(configured)
    listed = set(configured[:1])
    for _, part in plan.parts:
        if isinstance(part, Layer):
            found = configparser.ConfigParser(strict=False, interpolation=None)
            found.read([str(one) for one in config.file_list(part.folder / "repos.conf")], encoding="utf-8")
            listed.update(found.sections())
    return listed
