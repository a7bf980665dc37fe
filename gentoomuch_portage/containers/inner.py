"""What runs in a box: ``python -m gentoomuch_portage.containers.inner PLAN``: its configroots are there."""

import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import helpers
from gentoomuch_portage.containers.listen import PIPE
from gentoomuch_portage.events.pipe import Teller
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.portage_adapter import emerge, isolation
from gentoomuch_portage.portage_adapter.binpkg import Binpkg


def main(told: Path, words: Iterable[str] = ()) -> int:
    """Carry a plan out as it is; emerge's exit status.

    Args:
        words: behind those of the plan.
    """
    with console.shown() as end:
        plan = Plan.from_json(told)
        plan = replace(plan, words=(*plan.words, *words))
        settings = Settings.of(os.environ, eprefix=emerge.eprefix())
        _close_off(Path(plan.env["PORTAGE_TMPDIR"]))
        plan, around = _shut(_numbered(plan))
        without = frozenset(filter(None, plan.without.split(",")))
        taking_part = manager.make_manager(settings.cache, without=without, strict=settings.strict)

        def reject(binpkg: Binpkg) -> str | None:
            asked = {"binpkg": binpkg, "plan": plan, "settings": settings}
            reason: str | None = manager.first(taking_part, "gm_reject_binpkg", **asked)
            return reason

        with around, isolation.overlaid():
            asked = {"plan": plan, "settings": settings, "reject": reject, "watch": Teller.into(told.with_name(PIPE))}
            end.status = int(manager.first(taking_part, "gm_run_emerge", **asked))
    return end.status


def _close_off(folder: Path) -> None:
    """Let nobody but Portage's own users into the folder where it builds.

    It lies on the host, and what a build makes there may be a program that runs as its owner.
    """
    if folder.suffix == ".box":
        with suppress(OSError):  # its group has no number in this box: root alone builds here
            os.chown(folder, -1, isolation.group())
            folder.chmod(0o710)


def _numbered(plan: Plan) -> Plan:
    """Without Portage's pid-sandbox where no phase can have it: there they see the processes of the box."""
    return plan if helpers.another() else _with(plan, "-pid-sandbox")


def _shut(plan: Plan) -> tuple[Plan, AbstractContextManager[None]]:
    """Where the box has no sys-apps/sandbox, what stands in for it, whatever the host's FEATURES say of that one."""
    program = os.environ.get("GM_SHUT", "")
    if not program or not isolation.missing():
        return plan, nullcontext()
    return _with(plan, "sandbox usersandbox"), isolation.shut(program)


def _with(plan: Plan, features: str) -> Plan:
    return replace(plan, env={**plan.env, "FEATURES": f"{plan.env.get('FEATURES', '')} {features}".strip()})


if __name__ == "__main__":
    emerge.speak_utf8()
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
    except KeyboardInterrupt as signalled:
        emerge.ended_by(signalled)
