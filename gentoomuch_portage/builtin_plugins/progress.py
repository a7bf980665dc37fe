"""On a terminal: how far the run has come and how long it will still take, in its last row.

Not with --quiet, and not a byte of emerge's own output is another.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.events.reporter import Watch
from gentoomuch_portage.plan.plan import Plan
from gentoomuch_portage.plugins.hookspec import hookimpl


@hookimpl(wrapper=True)
def gm_run_emerge(plan: Plan, settings: Settings, watch: Watch | None) -> Generator[None, int, int]:
    row = console.BottomLine()
    if watch is None or not row.possible:
        return (yield)
    from gentoomuch_portage.events.progress import Progress
    from gentoomuch_portage.portage_adapter import config

    def usual(merges: Sequence[Mapping[str, Any]]) -> Mapping[tuple[str, str], float]:
        return _usual(settings, plan.profile, {one["cpv"]: config.package_of(one["cpv"]) for one in merges})

    progress = Progress(usual, config.package_of)

    def drawn(event: Mapping[str, Any]) -> None:
        progress.hear(event)
        if progress.quiet:
            row.close()
        else:
            row.draw(progress.line())

    watch.follow(drawn)
    try:
        return (yield)
    finally:
        row.close()


def _usual(settings: Settings, profile: str, named: Mapping[str, str]) -> Mapping[tuple[str, str], float]:
    """What this profile tells of a package; where it tells nothing, what the others do."""
    from gentoomuch_portage import history
    from gentoomuch_portage.events import estimate

    others = [one for one in history.profiles(settings.state) if one != profile]
    told = (estimate.usual(history.packages(settings.state, names), named) for names in (others, [profile]))
    return {kind: seconds for one in told for kind, seconds in one.items()}
