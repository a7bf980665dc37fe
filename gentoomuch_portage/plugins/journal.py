"""The record: a line a run in ``state/PROFILE/history.jsonl``, and the world of a foreign root beside it."""

import json
import time
from pathlib import Path

from gentoomuch_portage import files
from gentoomuch_portage.hookspec import hookimpl
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.portage_adapter import front
from gentoomuch_portage.settings import Settings


@hookimpl
def gm_after_run(plan: Plan, settings: Settings, status: int, seconds: float) -> None:
    kept = settings.state / plan.profile
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds)),
        "seconds": round(seconds, 1),
        "words": plan.words,
        "status": status,
        "configroot": Path(plan.configroot).name,
    }
    files.append(kept / "history.jsonl", json.dumps(line, sort_keys=True))
    world = Path(f"{plan.root.rstrip('/')}{front.eprefix()}/var/lib/portage/world")
    if plan.root != "/" and world.is_file():
        text = world.read_text(encoding="utf-8")
        mirror = kept / "world"
        if not mirror.is_file() or mirror.read_text(encoding="utf-8") != text:
            files.write(mirror, text)
