# SPDX-License-Identifier: GPL-2.0-or-later
"""Adds a line, a variable and a word to each run; writes down how it ended; GM_LAMP names a hook that breaks."""

import os
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.api import EmergeOption, Env, Line, Part, Plan, Settings, hookimpl


@hookimpl
def gm_parts() -> Iterator[Part]:
    _break("gm_parts")
    yield Line("package.use", "dev-demo/libgreet shout")
    yield Env("LAMP", "lit")
    yield EmergeOption("--verbose")


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan):
    _break("gm_run_emerge")
    return (yield)


@hookimpl
def gm_after_run(plan: Plan, settings: Settings, status: int) -> None:
    _break("gm_after_run")
    (settings.state / plan.profile).mkdir(parents=True, exist_ok=True)
    (settings.state / plan.profile / "lamp").write_text(f"{status} {os.environ.get('LAMP', 'out')}\n")


def _break(hook: str) -> None:
    if os.environ.get("GM_LAMP") == hook:
        raise ValueError(f"broken in {Path(__file__).name}")
