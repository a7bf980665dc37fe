# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers of tests of containers: the isolation kinds that work here, and digests of directories."""

import hashlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.containers import detect


@cache
def why_not(kind: str) -> str:
    """Return why an isolation kind does not work here; empty if it does."""
    with tempfile.TemporaryDirectory() as folder:
        result = detect.probe(kind, Path(folder))
    return "" if result.works else f"{kind}: {result.reason}"


def need(kind: str) -> None:
    """Skip the test if an isolation kind does not work here."""
    if why := why_not(kind):
        pytest.skip(why)


def need_user_namespaces(*options: str) -> None:
    """Skip the test if the kernel creates no user namespace, as in a chroot; options are those of unshare(1)."""
    tried = subprocess.run(["unshare", "--user", *options, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespace can be created: {tried.stderr}")


def digest(folder: Path, *, without: tuple[str, ...] = ()) -> str:
    """Return a digest of all names, types, modes, owners, links and contents below a directory."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(without):
            continue
        status = path.lstat()
        line = f"{name}\0{status.st_mode:o}\0{status.st_uid}\0{status.st_gid}\0"
        total.update(line.encode() + _content(path))
    return total.hexdigest()


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return str(path.readlink()).encode()
    if not path.is_file():
        return b""
    if not os.access(path, os.R_OK):  # a build can change it only with another time
        return str(path.lstat().st_mtime_ns).encode()
    return path.read_bytes()


def some() -> str:
    """Return the first isolation kind that works here; skip the test if there is none."""
    reasons = {kind: why_not(kind) for kind in isolation_kinds.AUTOMATIC}
    working = next((kind for kind, why in reasons.items() if not why), "")
    if not working:
        pytest.skip("; ".join(reasons.values()))
    return working
