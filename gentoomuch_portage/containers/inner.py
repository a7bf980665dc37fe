# SPDX-License-Identifier: GPL-2.0-or-later
"""gm-emerge inside a container: ``python -m gentoomuch_portage.containers.inner PLAN``; its configroots exist."""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from gentoomuch_portage import console, startup
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.containers import helpers, phase_sandbox
from gentoomuch_portage.containers.listen import PIPE
from gentoomuch_portage.containers.phase_sandbox import CLOSED
from gentoomuch_portage.events.pipe import PipeWriter
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins import manager
from gentoomuch_portage.plugins.manager import Dispatcher
from gentoomuch_portage.portage_adapter import isolation, paths, private_api
from gentoomuch_portage.portage_adapter.patching import environment


def main(file: Path, words: Iterable[str] = ()) -> int:
    """Carry out a plan as it is, and return emerge's exit status.

    Args:
        file: the plan.
        words: emerge options after those of the plan.
    """
    with console.report_errors() as end, private_api.translate():
        plan = Plan.from_json(file)
        plan = replace(plan, arguments=(*plan.arguments, *words))
        settings = Settings.load(os.environ, eprefix=paths.eprefix(), checked=False)
        plan = _use_phase_sandbox(_drop_pid_sandbox(plan))
        without = plan.disabled_plugins
        plugins = manager.make_manager(
            settings.cache, without=without, strict=settings.strict, checked=settings.checked
        )

        pipe = file.with_name(PIPE)
        confine = partial(phase_sandbox.confine, _limits(os.environ[CLOSED], pipe))
        # The directories that package.env may name are not mounted here.
        tmpdir = {"PORTAGE_TMPDIR": plan.env["PORTAGE_TMPDIR"]}
        with environment(tmpdir), isolation.confined(confine), isolation.overlaid():
            dispatcher = Dispatcher(plugins, plan, settings)
            reject, listener = dispatcher.make_reject(), PipeWriter.open(pipe)
            end.status = int(dispatcher.first("gm_run_emerge", reject=reject, listener=listener))
    return end.status


def _drop_pid_sandbox(plan: Plan) -> Plan:
    """Disable Portage's pid-sandbox if it cannot work: then phases see the processes of the container."""
    return plan if helpers.can_mount_proc() else _with(plan, "-pid-sandbox")


def _use_phase_sandbox(plan: Plan) -> Plan:
    """Confine phases by ``phase_sandbox`` if sys-apps/sandbox is missing, whatever FEATURES of the host are."""
    return _with(plan, "sandbox usersandbox") if isolation.missing() else plan


def _limits(closed: str, pipe: Path) -> phase_sandbox.Limits:
    return phase_sandbox.Limits(closed=tuple(closed.splitlines()), hidden=(str(pipe),))


def _with(plan: Plan, features: str) -> Plan:
    return replace(plan, env={**plan.env, "FEATURES": f"{plan.env.get('FEATURES', '')} {features}".strip()})


if __name__ == "__main__":
    startup.speak_utf8()
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
    except KeyboardInterrupt as signalled:
        startup.ended_by(signalled)
