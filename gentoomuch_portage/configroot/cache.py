"""Configroots by content: made once, found again in a millisecond, remade when anything they show changes.

``cache/configroots/ID/etc/portage`` is named by the digest of all it holds, and never changed.
``cache/recipes/DIGEST.json`` remembers which files went into it, each with its signature, so that the
next run needs no more than their stat. A run holds the lock of its configroot; the kernel drops it with
the process, so kill -9 leaves at most a folder with a dot that the next collection removes.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.configroot.key import Recipe

_RACY = 2_000_000_000
"""Nanoseconds. A file changed so shortly before its signature was taken may change again unseen."""
_UNUSED = 30 * 86_400
"""Seconds after which a recipe that nobody used is forgotten."""
_YOUNG = 600
"""Seconds for which a configroot without a recipe is left alone: its maker may be about to write one."""


class Laid(NamedTuple):
    """A configroot on disk."""

    path: Path
    """As PORTAGE_CONFIGROOT means it."""
    facts: dict[str, str]
    """What Portage made of it when it was composed: PORTAGE_TMPDIR and others; ``machine``: of CFLAGS those that
    choose instruction sets; ``abi``: an ``isa.requirement.Abi``."""
    made: bool
    """Whether this call composed it."""
    lock: int
    """A descriptor; the configroot stays while it is open."""


def lay(recipe: Recipe, cache: Path) -> Laid:
    """Find the configroot of a recipe, or make it.

    Safe under any number of runs at once.

    Raises:
        ConfigError: a file of the configuration is wrong.
        NoPrivilege: the cache cannot be written.
    """
    remembered = cache / "recipes" / f"{recipe.digest}.json"
    for _ in range(100):
        if laid := _found(remembered, cache):
            return laid
        root, facts = _make(recipe, cache, remembered)
        lock = fs.hold(root)
        if lock is not None:
            collect(cache)
            return Laid(root, facts, True, lock)
    raise RuntimeError(f"{cache / 'configroots'} is emptied as fast as it is filled")


def is_one(root: Path) -> bool:
    """Whether a PORTAGE_CONFIGROOT is one of ours, as a run for a profile has it."""
    return root.parent.name == "configroots"


def _found(remembered: Path, cache: Path) -> Laid | None:
    """The configroot of a recipe whose inputs and whose result are as they were."""
    try:
        with remembered.open(encoding="utf-8") as file:
            kept: dict[str, Any] = json.load(file)
            age = time.time() - os.fstat(file.fileno()).st_mtime
        root = cache / "configroots" / kept["id"]
        inputs, made, facts, written = kept["inputs"], kept["made"], kept["facts"], kept["written"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    lock = fs.hold(root)
    if lock is None:
        return None
    if _same(inputs, written) and _same(_absolute(root, made), None):
        if age > 86_400:
            with contextlib.suppress(OSError):
                os.utime(remembered)
        return Laid(root, facts, False, lock)
    os.close(lock)
    return None


def _same(signatures: dict[str, str], written: int | None) -> bool:
    """Whether files are as they were signed, and none was changed too shortly before ``written`` to be sure."""
    stat = os.stat
    for name, signed in signatures.items():
        try:
            seen = stat(name)
        except OSError:
            if signed != "-":
                return False
            continue
        if f"{seen.st_mtime_ns}.{seen.st_ctime_ns}.{seen.st_size}.{seen.st_ino}" != signed:
            return False
        if written is not None and seen.st_ctime_ns > written - _RACY:
            return False
    return True


def _absolute(root: Path, made: dict[str, str]) -> dict[str, str]:
    return {f"{root}/{name}": signed for name, signed in made.items()}


def _make(recipe: Recipe, cache: Path, remembered: Path) -> tuple[Path, dict[str, str]]:
    """Compose, write, and remember; the configroot's path and facts."""
    from gentoomuch_portage.configroot import build
    from gentoomuch_portage.configroot.layers import signature

    begun = time.time_ns()
    root, facts, inputs = build.written(recipe, cache / "configroots")
    below = {str(path.relative_to(root)): signature(path) for path in sorted(root.rglob("*"))}
    made = {"": signature(root), **below}
    kept = {"id": root.name, "inputs": dict(inputs), "made": made, "facts": dict(facts), "written": begun}
    fs.write(remembered, json.dumps(kept))
    return root, dict(facts)


def altered(root: Path) -> list[Path]:
    """The files of a configroot that somebody has changed or added since it was made, sorted.

    What they hold is lost when it is made again, as it will be in the next run. Of several recipes that mean it, one
    may remember it as it was before another made it again.
    """
    found: list[list[Path]] = []
    for recipe in (root.parent.parent / "recipes").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(recipe.read_text(encoding="utf-8"))
            if kept["id"] == root.name:
                shown = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
                made = kept["made"]
                found.append([path for name, path in shown.items() if not _same({str(path): made.get(name)}, None)])
    fewest = min(found, key=len) if found else []
    return sorted(fewest)


def stale(cache: Path) -> list[Path]:
    """The configroots that no recipe means, and what killed runs left behind; some may still be held by a run."""
    wanted = set()
    now = time.time()
    for remembered in (cache / "recipes").glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if now - remembered.stat().st_mtime <= _UNUSED:
                wanted.add(json.loads(remembered.read_text(encoding="utf-8"))["id"])
    found = []
    for folder in (cache / "configroots").glob("*"):
        with contextlib.suppress(OSError):
            if folder.name not in wanted and now - folder.stat().st_mtime > _YOUNG:
                found.append(folder)
    return sorted(found)


def collect(cache: Path) -> list[Path]:
    """Remove what is stale and held by nobody.

    Returns:
        What was removed.
    """
    for remembered in (cache / "recipes").glob("*.json"):
        with contextlib.suppress(OSError):
            if time.time() - remembered.stat().st_mtime > _UNUSED:
                remembered.unlink()
    return [folder for folder in stale(cache) if fs.remove_unheld(folder)]
