# SPDX-License-Identifier: GPL-2.0-or-later
"""Record each run (``history.py``), and keep a copy of the world file of another root."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs, history, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.fs import open_below
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import paths

_RECORDED = frozenset({"resolved", "package", "ended"})
"""``package`` has all facts of a package; ``resolved`` has rejected packages and unmasks."""


@hookimpl
def gm_event(event: Mapping[str, Any], plan: Plan, settings: Settings) -> None:
    if event["event"] in _RECORDED:
        history.append(settings.state, plan.profile, event)


@hookimpl
def gm_after_run(plan: Plan, settings: Settings) -> None:
    if plan.root == "/":
        return
    world = Path(f"{plan.root.rstrip('/')}{paths.eprefix()}/var/lib/portage/world")
    try:
        with open_below(Path(plan.root), world) as file:
            text = file.read()
    except OSError:
        return  # it is missing, or a link that a build has created
    mirror = settings.state / plan.profile / "world"
    if not stored.has_content(mirror, text):
        fs.write(mirror, text)
