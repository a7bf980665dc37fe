"""What tests of containers share: which kinds work here, and the state of a tree."""

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

import pytest

from gentoomuch_portage.containers import detect


@cache
def why_not(kind: str) -> str:
    """Why a kind of container does not work here, as doctor says it; empty where it does."""
    with tempfile.TemporaryDirectory() as folder:
        one = detect.probe(kind, Path(folder))
    return "" if one.works else f"{kind}: {one.why}"


def need(kind: str) -> None:
    """Skip the test where a kind of container does not work here."""
    if why := why_not(kind):
        pytest.skip(why)


def digest(folder: Path, *, without: tuple[str, ...] = ()) -> str:
    """A digest over all names, kinds, modes, owners, links and contents below a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(without):
            continue
        seen = path.lstat()
        told = f"{name}\0{seen.st_mode:o}\0{seen.st_uid}\0{seen.st_gid}\0"
        total.update(told.encode() + _content(path))
    return total.hexdigest()


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return str(path.readlink()).encode()
    if not path.is_file():
        return b""
    if not os.access(path, os.R_OK):  # then no build of ours can change it without another time
        return str(path.lstat().st_mtime_ns).encode()
    return path.read_bytes()


def some_kind_or_skip() -> str:
    """The first kind that works here; the test is skipped where none does."""
    found = [one for one in detect.KINDS if not why_not(one)]
    if not found:
        pytest.skip("; ".join(why_not(one) for one in detect.KINDS))
    return found[0]


def some() -> str:
    """The first kind of container that works here; the test is skipped where none does."""
    reasons = {kind: why_not(kind) for kind in detect.KINDS}
    found = next((kind for kind, why in reasons.items() if not why), "")
    if not found:
        pytest.skip("; ".join(reasons.values()))
    return found
