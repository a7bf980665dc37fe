# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmask what emerge needs in a run, if the policy allows it, and add it to the ledger when it is used."""

import configparser
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot.cache import build_configroots
from gentoomuch_portage.configroot.key import MOVED
from gentoomuch_portage.errors import UsageError
from gentoomuch_portage.plan.plan import Layer, Line, Locked, Plan, Unmask
from gentoomuch_portage.startup import LazyModule
from gentoomuch_portage.unmask import ledger, policy
from gentoomuch_portage.unmask.ledger import Entry
from gentoomuch_portage.unmask.policy import Candidate, Policy

if TYPE_CHECKING:
    from gentoomuch_portage.configroot import moved
    from gentoomuch_portage.portage_adapter import atoms, config, config_files
else:
    moved = LazyModule("gentoomuch_portage.configroot.moved")
    atoms = LazyModule("gentoomuch_portage.portage_adapter.atoms")
    config = LazyModule("gentoomuch_portage.portage_adapter.config")
    config_files = LazyModule("gentoomuch_portage.portage_adapter.config_files")

_NOW = "unmasked"
"""The name of the giver of granted lines. Lines are sorted by giver: these follow those of ``unmask``, the ledger, so
that a flag that is needed now overrides its opposite."""


def locked_profile(profile: str, needed: Iterable[Entry]) -> UsageError:
    """The run needs to unmask another package, but ``--gm-locked`` does not allow it."""
    lines = "".join(f"\n    {entry.kind}: {entry.line}" for entry in needed)
    hint = f"run it once without --gm-locked, then: gentoomuch unmask ls --profile {profile}"
    return UsageError(
        f"profile {profile} would have to unmask, which --gm-locked forbids:{lines}", code="locked", hint=hint
    )


class Grants:
    """The grants of one run.

    Attributes:
        plan: the current plan; its configroots change with each grant.
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.plan = plan
        self.settings = settings
        self.needed: tuple[Entry, ...] = ()
        self.locks: list[int] = []
        self._policy: Policy | None = None

    @property
    def possible(self) -> bool:
        """Whether the policy controls emerge's autounmask in this run.

        It does not if it allows nothing, or if the user gives emerge's own options for autounmask. It always does in a
        locked run.
        """
        allowed = [part.allowed for _, part in self.plan.parts if isinstance(part, Unmask)]
        if any(isinstance(part, Locked) for _, part in self.plan.parts):
            return bool(allowed)
        return any(allowed) and not any(map(_controls_autounmask, self.plan.arguments))

    def against(self, kind: str, candidate: Candidate) -> str | None:
        """Return why a package may not be unmasked, or None."""
        if self._policy is None:
            configroot = Path(self.plan.configroot)
            renames = moved.load(configroot) if (configroot / "etc/portage" / MOVED).exists() else {}
            texts = {
                part.kind: " ".join(renames.get(atom, atom) for atom in part.allowed.split())
                for _, part in self.plan.parts
                if isinstance(part, Unmask)
            }
            self._policy = policy.parse_policy(texts, _trusted(self.plan))
        return self._policy.against(kind, candidate, _matches)

    def grant(self, entries: tuple[Entry, ...]) -> str:
        """Write a configroot that has these entries besides those of the plan, and return it.

        Raises:
            UsageError[locked]: nothing new may be unmasked.
        """
        if any(isinstance(part, Locked) for _, part in self.plan.parts):
            raise locked_profile(self.plan.profile, entries)
        today = time.strftime("%Y-%m-%d")
        self.needed = tuple(entry._replace(since=today) for entry in entries)
        before = tuple((giver, part) for giver, part in self.plan.parts if giver != _NOW)
        lines = tuple((_NOW, Line(ledger.FILES[entry.kind], entry.line)) for entry in entries)
        self.plan, locks = build_configroots(replace(self.plan, parts=(*before, *lines)), self.settings)
        self.locks += locks
        return self.plan.configroot

    def settle(self) -> None:
        """Add the grants to the ledger."""
        new = self.needed
        ledger.change(self.settings.state, self.plan.profile, lambda before: ledger.merge(before, new))

    def close(self) -> None:
        """Release the configroots of this run."""
        for lock in self.locks:
            os.close(lock)
        self.locks.clear()


def _controls_autounmask(word: str) -> bool:
    """Whether an option of emerge controls autounmask; --autounmask-backtrack does not count, as it is always set."""
    return word.startswith("--autounmask") and not word.startswith("--autounmask-backtrack")


def _matches(atom: str, candidate: Candidate) -> bool:
    return atoms.means(atom, candidate.cpv, candidate.slot, candidate.repository)


def _trusted(plan: Plan) -> set[str]:
    """Return the main repository and those of the layers; all repositories if the host is not the base."""
    configured = list(config.repositories(Path(plan.configroot)))
    if plan.base == "none":
        return set(configured)
    listed = set(configured[:1])
    for _, part in plan.parts:
        if isinstance(part, Layer):
            repos = configparser.ConfigParser(strict=False, interpolation=None)
            repos.read(map(str, config_files.file_list(part.folder / "repos.conf")), encoding="utf-8")
            listed.update(repos.sections())
    return listed
