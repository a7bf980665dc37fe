"""What runs in a box: ``python -m gentoomuch_portage.errand PLAN``, a plan whose configroots are laid already."""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gentoomuch_portage import console, manager
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter import front
from gentoomuch_portage.portage_adapter.binpkgs import Binpkg
from gentoomuch_portage.settings import Settings


def main(told: Path, words: Iterable[str] = ()) -> int:
    """Carry a plan out as it is; emerge's exit status.

    Args:
        words: behind those of the plan.
    """
    with console.shown() as end:
        plan = Plan.from_json(told)
        plan = replace(plan, words=(*plan.words, *words))
        settings = Settings.of(os.environ, eprefix=front.eprefix())
        taking_part = manager.make_manager(settings.cache, strict=settings.strict)

        def reject(binpkg: Binpkg) -> str | None:
            asked = {"binpkg": binpkg, "plan": plan, "settings": settings}
            reason: str | None = manager.first(taking_part, "gm_reject_binpkg", **asked)
            return reason

        end.status = int(manager.first(taking_part, "gm_run_emerge", plan=plan, settings=settings, reject=reject))
    return end.status


if __name__ == "__main__":
    front.speak_utf8()
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
    except KeyboardInterrupt as signalled:
        front.ended_by(signalled)
