"""Carries a plan out in this process."""

import os
from unittest.mock import patch

from gentoomuch_portage.errors import MissingContainer
from gentoomuch_portage.hookspec import hookimpl
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter import apart, front
from gentoomuch_portage.settings import Settings


@hookimpl(trylast=True)
def gm_run_emerge(plan: Plan, settings: Settings) -> int:
    if plan.isolation not in {"none", "auto"}:
        raise MissingContainer(plan.isolation, ())
    around = apart.apart(
        state=settings.state / plan.profile,
        cache=settings.cache / "binhosts" / plan.profile,
        build_configroot=plan.build_configroot,
    )
    with patch.dict(os.environ, {"PORTAGE_CONFIGROOT": plan.configroot, **plan.env}):
        return front.emerge(plan.words, around)
