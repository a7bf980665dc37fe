"""A plan that was printed, and the words that are said beside it: ``--gm-plan=FILE``."""

import sys
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage.config import profile
from gentoomuch_portage.errors import UsageError
from gentoomuch_portage.plan.plan import Locked, Mounted, Part, Plan, Unmask
from gentoomuch_portage.plan.request import Request, UnreadablePlan
from gentoomuch_portage.unmask import policy

_STDIN = Path("standard input")
_GIVER = "unmask"
"""The plugin whose parts say what may be unmasked."""


class PlanStands(UsageError):
    """A ``--gm-`` word that a printed plan cannot keep any more."""

    code = "plan-stands"

    def __init__(self, word: str, why: str) -> None:
        remedy = f"gm-emerge {word} --gm-explain=json ... > FILE, and run that plan"
        super().__init__(f"{word} comes too late for --gm-plan: {why}", remedy=remedy)
        self.word = word


def read(request: Request) -> Plan:
    """The plan that a request names, with what the request says besides.

    How it is run can still be said: ``locked``, ``unmask``, ``isolation``, more words. What it is made of cannot.

    Raises:
        UnreadablePlan: there is no plan in the file.
        BadName: its profile has a name that no profile has.
        PlanStands: a word of the request would be dropped.
    """
    place = request.said["plan"]
    plan = _of_stdin() if place == "-" else Plan.from_json(Path(place))
    profile.valid(plan.profile, "profile", place)
    _check(plan, request)
    return replace(
        plan,
        words=(*plan.words, *request.words),
        isolation=request.said.get("isolation", plan.isolation),
        without=",".join(sorted(without(plan) | request.without)),
        parts=(*_kept(plan, request), *_said(request)),
    )


def _of_stdin() -> Plan:
    if sys.stdin is None:  # and another file may have its number
        raise UnreadablePlan(_STDIN, "it is closed")
    return Plan.from_json(_STDIN, opened=0)


def without(plan: Plan) -> frozenset[str]:
    """The plugins that take no part in a plan."""
    return frozenset(filter(None, plan.without.split(",")))


def _check(plan: Plan, request: Request) -> None:
    if (name := request.said.get("profile", plan.profile)) != plan.profile:
        raise PlanStands(f"--gm-profile={name}", f"it is for {plan.profile or 'no profile'}")
    if "trust" in request.said:
        raise PlanStands(f"--gm-trust={request.said['trust']}", "what of a .gentoo folder is used stands in it")
    if late := sorted(request.without & {plugin for plugin, _ in plan.parts}):
        raise PlanStands(f"--gm-no={late[0]}", f"it has parts of {late[0]}")


def _kept(plan: Plan, request: Request) -> tuple[tuple[str, Part], ...]:
    """The parts that stand; what a container has is told anew by who explains the plan."""
    gone = (Mounted, Unmask) if "unmask" in request.said else Mounted
    return tuple(one for one in plan.parts if not isinstance(one[1], gone))


def _said(request: Request) -> tuple[tuple[str, Part], ...]:
    parts: list[Part] = []
    if "unmask" in request.said:
        parts += [Unmask(kind, told) for kind, told in policy.allowed({}, request.said["unmask"]).items()]
    if "locked" in request.said:
        parts.append(Locked("--gm-locked"))
    return tuple((_GIVER, part) for part in parts)
