"""The record: a line a run in ``state/PROFILE/history.jsonl``, and the world of a foreign root beside it."""

import json
import os
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
    append(kept / "history.jsonl", json.dumps(line, sort_keys=True))
    world = Path(f"{plan.root.rstrip('/')}{front.eprefix()}/var/lib/portage/world")
    if plan.root != "/" and world.is_file():
        text = world.read_text(encoding="utf-8")
        mirror = kept / "world"
        if not mirror.is_file() or mirror.read_text(encoding="utf-8") != text:
            files.write(mirror, text)


def append(path: Path, line: str) -> None:
    """Add a line to a file; lines of runs that end together do not mix.

    One write of a descriptor opened for appending is whole (Source: write(2), O_APPEND).
    """
    files.ensure(path.parent)
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(number, f"{line}\n".encode())
    finally:
        os.close(number)
