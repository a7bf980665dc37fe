# SPDX-License-Identifier: GPL-2.0-or-later
"""Show progress and remaining time in the last row of a terminal.

Not with --quiet. The output of emerge itself is unchanged.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import RunListener, hookimpl


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan, settings: Settings, listener: RunListener | None) -> Generator[None, int, int]:
    row = console.BottomLine()
    if listener is None or not row.possible:
        return (yield)
    from gentoomuch_portage.events.progress import Progress
    from gentoomuch_portage.portage_adapter import atoms

    def usual(merges: Sequence[Mapping[str, Any]]) -> Mapping[tuple[str, str], float]:
        return _usual(settings, plan.profile, {merge["cpv"]: atoms.package_of(merge["cpv"]) for merge in merges})

    progress = Progress(usual, atoms.package_of)
    # gentoomuch update sets it: which of its profiles this is.
    position = f"{console.escape_unprintable(name)}: " if (name := os.environ.get("GM_UPDATE_POSITION")) else ""

    def drawn(event: Mapping[str, Any]) -> None:
        progress.update(event)
        if progress.quiet:
            row.close()
        else:
            row.draw(f"{position}{progress.line()}")

    listener.follow(drawn)
    try:
        return (yield)
    finally:
        row.close()


def _usual(settings: Settings, profile: str, named: Mapping[str, str]) -> Mapping[tuple[str, str], float]:
    """Return the usual build times of packages: of this profile, or else of the others."""
    from gentoomuch_portage import history
    from gentoomuch_portage.events import estimate

    others = [name for name in history.list_profiles(settings.state) if name != profile]
    times = (estimate.find_usual(history.read_packages(settings.state, names), named) for names in (others, [profile]))
    return {kind: seconds for known in times for kind, seconds in known.items()}
