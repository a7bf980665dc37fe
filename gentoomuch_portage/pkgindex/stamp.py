# SPDX-License-Identifier: GPL-2.0-or-later
"""The stamp of shards: which ``Packages`` they are made from. With another ``Packages`` they are out of date."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import fs, stored
from gentoomuch_portage.pkgindex import FOLDER as FOLDER
from gentoomuch_portage.pkgindex import STAMP
from gentoomuch_portage.pkgindex.entry import BadIndex

_VERSION = 1


def rebuild_hint(folder: Path) -> str:
    """Return the hint for damaged shards: they are not checked again as long as ``Packages`` is the same."""
    return f"rm -r {folder / FOLDER}, then gentoomuch binhost index {folder}"


@contextmanager
def explain_damage(folder: Path) -> Iterator[None]:
    """Add path and hint to the error for a damaged index while the block runs; an update does not repair it."""
    try:
        yield
    except BadIndex as error:
        plain = folder / "Packages"
        if error.where not in {"Packages", str(plain)}:
            raise
        hint = f"rm {plain}, then gentoomuch binhost index {folder}"
        raise BadIndex(str(plain), error.why, hint=hint) from error


class Stamp(NamedTuple):
    """The contents of ``gm-index/stamp``."""

    packages: list[int]
    """Size, mtime and ctime in ns, inode. mtime is not enough, as Portage sets it to full seconds."""
    compressed: list[int]
    """The same of ``Packages.gz``; empty if we did not write it."""
    members: list[list[int]]
    """Size of text and of compressed bytes of each member of ``Packages.gz``, the header first."""


def identity(seen: os.stat_result) -> list[int]:
    """Return values that differ between a file and its replacement."""
    return [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]


def fresh(folder: Path) -> Stamp | None:
    """Return the stamp, or None if the shards are out of date."""

    def parse(text: str) -> Stamp | None:
        stamp = _read(json.loads(text))
        return stamp if stamp.packages == identity((folder / "Packages").stat()) else None

    return stored.recall(folder / FOLDER / STAMP, parse)


def left_behind(folder: Path) -> bool:
    """Return True if ``Packages.gz`` is missing or out of date, because its writer was killed.

    Call it only if ``fresh`` returns None.
    """
    try:
        plain, packed = (folder / "Packages").stat(), (folder / "Packages.gz").stat()
    except FileNotFoundError:
        return True
    known = stored.recall(folder / FOLDER / STAMP, lambda text: _read(json.loads(text)))
    before = known.compressed if known else []
    return identity(packed) == before or int(plain.st_mtime) != int(packed.st_mtime)


def write(folder: Path, members: list[list[int]]) -> None:
    """Write the stamp for the current ``Packages``.

    Args:
        members: those of the current ``Packages.gz``; empty if we did not write it.
    """
    packed = identity((folder / "Packages.gz").stat()) if members else []
    stamp = {
        "version": _VERSION,
        "packages": identity((folder / "Packages").stat()),
        "compressed": packed,
        "members": members,
    }
    fs.write(folder / FOLDER / STAMP, json.dumps(stamp), durable=False)


def _read(data: Any) -> Stamp:
    if data["version"] != _VERSION:
        raise ValueError("another version")
    return Stamp(list(data["packages"]), list(data["compressed"]), list(data["members"]))
