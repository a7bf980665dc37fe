# SPDX-License-Identifier: GPL-2.0-or-later
"""Describe a root so exactly that two equal descriptions mean the same root."""

import hashlib
import os
import stat
from pathlib import Path


def describe(root: Path) -> dict[str, tuple[object, ...]]:
    """Return a description of each path of a root: content, mode, owners, times, attributes and hard links."""
    paths = [root, *sorted(root.rglob("*"))]
    first: dict[tuple[int, int], str] = {}
    described = {}
    for path in paths:
        status, name = path.lstat(), str(path.relative_to(root))
        same = "" if stat.S_ISDIR(status.st_mode) else first.setdefault((status.st_dev, status.st_ino), name)
        attributes = tuple(
            (key, os.getxattr(path, key, follow_symlinks=False))
            for key in sorted(os.listxattr(path, follow_symlinks=False))
        )
        owners = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev)
        described[name] = (*owners, same, attributes, _content(path))
    return described


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
