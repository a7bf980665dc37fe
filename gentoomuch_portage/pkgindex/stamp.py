"""Which ``Packages`` the shards were made from; any other makes them stale."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.pkgindex.entry import BadIndex

FOLDER = "gm-index"
"""Beside ``Packages``. No category is called so, and Portage looks for no packages in it."""
_VERSION = 1


def anew(folder: Path) -> str:
    """What mends shards, or names, that are damaged though ``Packages`` is not: nobody looks into those again."""
    return f"rm -r {folder / FOLDER}, then gentoomuch binhost index {folder}"


@contextmanager
def way_out(folder: Path) -> Iterator[None]:
    """Of an index that is damaged, say where it lies; bringing it up to date does not mend it."""
    try:
        yield
    except BadIndex as error:
        plain = folder / "Packages"
        if error.where not in {"Packages", str(plain)}:
            raise
        remedy = f"rm {plain}, then gentoomuch binhost index {folder}"
        raise BadIndex(str(plain), error.why, remedy=remedy) from error


class Stamp(NamedTuple):
    """What ``gm-index/stamp`` says."""

    packages: list[int]
    """Size, mtime and ctime in ns, inode. Portage sets mtime to full seconds, so it alone tells too little."""
    compressed: list[int]
    """The same of ``Packages.gz``; empty where there is none of ours."""
    members: list[list[int]]
    """Of ``Packages.gz``: bytes of text and of gzip of each member; the header first."""


def identity(seen: os.stat_result) -> list[int]:
    """What tells a file from the one that takes its place."""
    return [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]


def fresh(folder: Path) -> Stamp | None:
    """The stamp, if ``Packages`` is the one that the shards were made from; None otherwise."""
    try:
        found = json.loads((folder / FOLDER / "stamp").read_bytes())
        stamp = _read(found)
        if stamp.packages != identity((folder / "Packages").stat()):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp


def left_behind(folder: Path) -> bool:
    """Whether ``Packages.gz`` is not there, or is of an earlier ``Packages``: who writes both may be killed in between.

    Only to be asked where the stamp is not fresh.
    """
    try:
        plain, packed = (folder / "Packages").stat(), (folder / "Packages.gz").stat()
    except FileNotFoundError:
        return True
    try:
        before = _read(json.loads((folder / FOLDER / "stamp").read_bytes())).compressed
    except (OSError, ValueError, KeyError, TypeError):
        before = []
    return identity(packed) == before or int(plain.st_mtime) != int(packed.st_mtime)


def write(folder: Path, members: list[list[int]]) -> None:
    """Say that the shards are those of the ``Packages`` that is there now.

    Args:
        members: of the ``Packages.gz`` that is there now; empty where there is none of ours.
    """
    packed = identity((folder / "Packages.gz").stat()) if members else []
    told = {
        "version": _VERSION,
        "packages": identity((folder / "Packages").stat()),
        "compressed": packed,
        "members": members,
    }
    fs.write(folder / FOLDER / "stamp", json.dumps(told), durable=False)


def _read(found: Any) -> Stamp:
    if found["version"] != _VERSION:
        raise ValueError("another version")
    return Stamp(list(found["packages"]), list(found["compressed"]), list(found["members"]))
