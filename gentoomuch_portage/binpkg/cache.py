"""What binary packages told of themselves, kept: a file for each, so that runs at the same time need no lock.

What a package that was fetched told is kept by its digest for ever; what its binhost only showed of it, for a while;
what a local one told, until its file changes.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

_SETTLED = 2_000_000_000
"""Nanoseconds. A file that changed so recently may change again within the clock's grain, and look the same.
Source: git's "racy-git"."""


class Kept:
    """A folder of answers."""

    def __init__(self, folder: Path, wanted: Collection[str]) -> None:
        """Look at nothing yet.

        Args:
            wanted: names of the files of metadata; answers to less than these do not count.
        """
        self._folder, self._wanted = folder, frozenset(wanted)

    def get(self, key: str, *stamps: str) -> dict[str, str] | None:
        """What is kept under a key; None where that is nothing, or of no such stamp."""
        try:
            found = json.loads(self._file(key).read_text(encoding="utf-8"))
            if (
                found["stamp"] not in (stamps or ("",))
                or found["key"] != key
                or not self._wanted <= set(found["wanted"])
            ):
                return None
            return {name: str(value) for name, value in found["found"].items() if name in self._wanted}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, key: str, found: Mapping[str, str], stamp: str = "") -> None:
        """Keep what was found; where nothing can be written, it is read again next time."""
        shown = {"key": key, "stamp": stamp, "wanted": sorted(self._wanted), "found": dict(sorted(found.items()))}
        file = self._file(key)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(prefix=".new-", dir=file.parent)
            # No fsync: a file that a crash leaves empty is read as nothing.
            with os.fdopen(number, "w", encoding="utf-8") as out:
                os.fchmod(number, 0o644)
                json.dump(shown, out)
            Path(name).replace(file)

    def _file(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:40]
        return self._folder / name[:2] / f"{name[2:]}.json"


def stamp(seen: os.stat_result, now: int) -> str:
    """What changes when a file does; empty where the file changed too recently to tell.

    Args:
        now: nanoseconds since the epoch.
    """
    if now - max(seen.st_mtime_ns, seen.st_ctime_ns) < _SETTLED:
        return ""
    return f"{seen.st_size} {seen.st_ino} {seen.st_mtime_ns} {seen.st_ctime_ns}"
