"""The record of each run (``history.py``), and a copy of the world of a foreign root beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs, history
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.fs import opened
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import hookimpl
from gentoomuch_portage.portage_adapter import emerge

_KEPT = frozenset({"resolved", "package", "ended"})
"""All that is told of a package comes together in ``package``; what was refused and unmasked, in ``resolved``."""


@hookimpl
def gm_event(event: Mapping[str, Any], plan: Plan, settings: Settings) -> None:
    if event["event"] in _KEPT:
        history.append(settings.state, plan.profile, event)


@hookimpl
def gm_after_run(plan: Plan, settings: Settings) -> None:
    if plan.root == "/":
        return
    world = Path(f"{plan.root.rstrip('/')}{emerge.eprefix()}/var/lib/portage/world")
    try:
        with opened(Path(plan.root), world) as file:
            text = file.read()
    except OSError:
        return  # there is none, or a build has laid a link to something of the host's
    mirror = settings.state / plan.profile / "world"
    if not mirror.is_file() or mirror.read_bytes() != text:
        fs.write(mirror, text)
