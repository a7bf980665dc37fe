"""Packages of binhosts that could not be had or did not hold, remembered so that the next source is taken.

A file each below ``cache/refused/PROFILE``. What was wrong with a package holds as long as the index tells of that very
file; what was wrong with a connection holds for this run alone.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gentoomuch_portage import files
from gentoomuch_portage.portage_adapter.binpkgs import Place, bare


def remember(folder: Path, place: Place, cpv: str, why: str, *, lasting: bool, run: int = 0) -> None:
    """Refuse a package from now on.

    Args:
        lasting: beyond this run.
        run: number of its process, where that is not this one.
    """
    run = run or os.getpid()
    told = {"cpv": cpv, "url": bare(place.url), "why": why, "at": int(time.time()), "fresh": run}
    files.write(_file(folder, place), json.dumps(told if lasting else {**told, "run": run}))


def dead(folder: Path, url: str, why: str) -> None:
    """Refuse all of a binhost in this run."""
    told = {"cpv": "", "url": bare(url), "why": why, "at": int(time.time()), "fresh": os.getpid(), "run": os.getpid()}
    files.write(folder / f"dead-{hashlib.sha256(url.encode()).hexdigest()[:24]}.json", json.dumps(told))


def against(folder: Path, place: Place) -> str:
    """Why a package of a binhost is refused; empty where it is not."""
    if not folder.is_dir():
        return ""
    told = _read(_file(folder, place))
    if told and told.get("run", os.getpid()) == os.getpid():
        return f"{told['why']}, when it was last tried"
    return silent(folder, place.url)


def silent(folder: Path, url: str) -> str:
    """Why the binhost that a URL lies below is dead in this run; empty where it is not."""
    found = [_read(file) for file in folder.glob("dead-*.json")]
    return next(
        (one["why"] for one in found if one["run"] == os.getpid() and bare(url).startswith(f"{one['url']}/")), ""
    )


def fresh(folder: Path) -> list[dict[str, Any]]:
    """What this run has refused since it was last asked."""
    found = []
    for file in _files(folder):
        told = _read(file)
        if told and told.get("fresh") == os.getpid():
            found.append(told)
            files.write(file, json.dumps({**told, "fresh": 0}))
    return found


def forget(folder: Path) -> None:
    """Drop what held for an earlier run alone."""
    for file in _files(folder):
        if _read(file).get("run", os.getpid()) != os.getpid():
            file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # where nothing is left; most runs look no further


def _file(folder: Path, place: Place) -> Path:
    strongest = place.digests[0][1] if place.digests else str(place.size)
    return folder / f"{hashlib.sha256(f'{place.url} {strongest}'.encode()).hexdigest()[:24]}.json"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _read(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
