# SPDX-License-Identifier: GPL-2.0-or-later
"""``--gm-plan=FILE``: load a plan from a file, and combine it with the other options."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage import ownership
from gentoomuch_portage.config import profile
from gentoomuch_portage.errors import UsageError
from gentoomuch_portage.plan.plan import Env, Locked, Mounted, Part, Plan, Unmask
from gentoomuch_portage.plan.request import Request, unreadable_plan
from gentoomuch_portage.unmask import policy

_STDIN = Path("standard input")
_ALLOWED = frozenset({"ROOT", "SYSROOT", "PORTAGE_TMPDIR"})
"""All variables that our own plans set. Others, such as BASH_ENV, could run programs."""
_PLUGIN = "unmask"
"""The plugin that has the parts about unmasking."""


def plan_option_conflict(option: str, reason: str) -> UsageError:
    """A ``--gm-`` option cannot be combined with ``--gm-plan``."""
    hint = f"gm-emerge {option} --gm-explain=json ... > FILE, and run that plan"
    return UsageError(f"{option} cannot be combined with --gm-plan: {reason}", code="plan-option-conflict", hint=hint)


def plan_variable(place: str, name: str, value: str) -> UsageError:
    """A plan file sets a variable other than ROOT, SYSROOT and PORTAGE_TMPDIR."""
    hint = f"{shlex.join(['env', f'{name}={value}', 'gm-emerge', f'--gm-plan={place}'])}, with it removed there"
    return UsageError(
        f"cannot use plan {place}: it sets {name}; plans may set {', '.join(sorted(_ALLOWED))}",
        code="plan-variable",
        hint=hint,
    )


def read(request: Request) -> Plan:
    """Load the plan that a request names, and apply the other options of the request.

    Options for its execution apply: ``locked``, ``unmask``, ``isolation``, arguments of emerge. Its contents are fixed.

    Raises:
        UsageError[unreadable-plan]: the file does not contain a plan.
        ConfigError[bad-name]: the name of its profile is not valid.
        UsageError[plan-option-conflict]: an option would have no effect.
        UsageError[plan-variable]: it sets a variable that our own plans do not set.
        ConfigError[foreign-file]: root reads it, and another user can change it.
    """
    place = request.options["plan"]
    plan = _load_stdin() if place == "-" else _load_file(Path(place))
    profile.valid(plan.profile, "profile", place)
    _check_variables(plan, place)
    _check(plan, request)
    return replace(
        plan,
        arguments=(*plan.arguments, *request.arguments),
        isolation=request.options.get("isolation", plan.isolation),
        without=",".join(sorted(plan.disabled_plugins | request.without)),
        parts=(*_remaining_parts(plan, request), *_parts_of_options(request)),
    )


def _load_stdin() -> Plan:
    if sys.stdin is None:  # another file may have descriptor 0 then
        raise unreadable_plan(_STDIN, "it is closed")
    return Plan.from_json(_STDIN, opened=0)


def _load_file(place: Path) -> Plan:
    ownership.check_path("this plan", place)
    try:
        with place.open("rb") as file:
            ownership.check_open("this plan", place, file.fileno())  # the path may be replaced meanwhile
            return Plan.from_json(place, opened=file.fileno())
    except OSError as error:
        raise unreadable_plan(place, error) from error


def _check_variables(plan: Plan, place: str) -> None:
    given = [(part.name, part.value) for _, part in plan.parts if isinstance(part, Env)]
    for name, value in (*plan.env.items(), *given):
        if name not in _ALLOWED:
            raise plan_variable(place, name, value)


def _check(plan: Plan, request: Request) -> None:
    if (name := request.options.get("profile", plan.profile)) != plan.profile:
        raise plan_option_conflict(f"--gm-profile={name}", f"it is for {plan.profile or 'no profile'}")
    if "trust" in request.options:
        raise plan_option_conflict(
            f"--gm-trust={request.options['trust']}", "it contains what it uses of a .gentoo directory"
        )
    if late := sorted(request.without & {plugin for plugin, _ in plan.parts}):
        raise plan_option_conflict(f"--gm-no={late[0]}", f"it has parts of {late[0]}")


def _remaining_parts(plan: Plan, request: Request) -> tuple[tuple[str, Part], ...]:
    """Return the parts that the request does not replace; --gm-explain lists the mounts of a container again."""
    replaced = (Mounted, Unmask) if "unmask" in request.options else Mounted
    return tuple((plugin, part) for plugin, part in plan.parts if not isinstance(part, replaced))


def _parts_of_options(request: Request) -> tuple[tuple[str, Part], ...]:
    parts: list[Part] = []
    if "unmask" in request.options:
        parts += [
            Unmask(kind, allowed) for kind, allowed in policy.format_policy({}, request.options["unmask"]).items()
        ]
    if "locked" in request.options:
        parts.append(Locked("--gm-locked"))
    return tuple((_PLUGIN, part) for part in parts)
