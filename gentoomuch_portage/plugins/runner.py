"""Carries a plan out in this process."""

import os
from contextlib import ExitStack
from unittest.mock import patch

from gentoomuch_portage import needs
from gentoomuch_portage.errors import MissingContainer
from gentoomuch_portage.hookspec import hookimpl
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter import apart, binpkgs, front
from gentoomuch_portage.portage_adapter.binpkgs import Reject
from gentoomuch_portage.requirement import RECORDED
from gentoomuch_portage.settings import Settings


@hookimpl(trylast=True)
def gm_run_emerge(plan: Plan, settings: Settings, reject: Reject) -> int:
    if plan.isolation not in {"none", "auto"}:
        raise MissingContainer(plan.isolation, ())
    with ExitStack() as around:
        around.enter_context(patch.dict(os.environ, {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}))
        around.enter_context(
            apart.apart(
                state=settings.state / plan.profile,
                cache=settings.cache / "binhosts" / plan.profile,
                build_configroot=plan.build_configroot,
            )
        )
        around.enter_context(binpkgs.recorded(RECORDED, needs.recording(settings.cache)))
        around.enter_context(
            binpkgs.sifted(reject, f"CPU features; profile {plan.profile} has {plan.cpu or 'no -march'}")
        )
        return front.emerge(plan.words)
