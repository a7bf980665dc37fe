# SPDX-License-Identifier: GPL-2.0-or-later
"""Find private files in directories of the host that a container sees: files that other users may not read.

A build can copy everything that it reads into a package, even as root of the container. So directories that other users
cannot enter and files that they cannot read do not exist in a container, at any depth. The search in /usr is cached, as
it has hundreds of thousands of files.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs
from gentoomuch_portage.containers import owned_files
from gentoomuch_portage.fs import Cache

_WATCHED = 2
"""Levels of directories of packages that are checked for changes at each start; only packages write to all others."""
_SOURCES = "/usr/src"
_KEYS = (".pem", ".key", ".p12", ".pfx")
"""Suffixes of signing keys of kernels below ``_SOURCES``, which are private with any mode."""
_LOCAL = "/usr/local"
"""It contains no files of packages, and is composed instead."""
_CACHED_BY_PYTHON = "__pycache__"
_VERSION = 1


def find_private(top: str, owners: str, cache: Path) -> tuple[str, ...]:
    """Return the private files and directories below a directory, relative to it.

    The results of directories of packages are cached until a package is merged, or a directory of the upper levels
    changes; all others are searched each time.

    Args:
        owners: the database of the packages that own the directory: their files are not private. Empty for none.
        cache: the directory of cached results.
    """
    if not owners:
        return _relative(top, _search(top, {}, 0))
    results, key = Cache(cache, mode=0o600), f"{top}\0{owners}"
    stamp = [_VERSION, os.geteuid(), owned_files.stamp(Path(owners))]
    if (cached := results.load(key, _parse, stamp)) is not None:
        return cached
    watched = {top: _stamp(top)}
    private = set(_search(top, watched, 1 if top == owners else _WATCHED))
    if private:
        private -= {path for path in owned_files.find_owned(Path(owners), private) if not _is_key(path)}
    relative = _relative(top, private)
    fs.ensure(cache, mode=0o700, cache=cache.parent)
    results.store(key, {"watched": watched, "private": relative}, stamp)
    return relative


def _parse(value: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return cached results if no watched directory has changed."""
    unchanged = all(_stamp(path) == known for path, known in value["watched"].items())
    return tuple(map(str, value["private"])) if unchanged else None


def _relative(top: str, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(os.path.relpath(path, top) for path in paths))


def _stamp(path: str) -> str:
    """Return a stamp that changes with the entries of a directory and with its mode."""
    try:
        status = os.lstat(path)
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _search(folder: str, watched: dict[str, str], depth: int) -> Iterator[str]:
    """Yield private entries.

    Args:
        watched: receives the directories whose changes require another search.
        depth: remaining levels of them.
    """
    try:
        entries = os.scandir(folder)
    except OSError:
        return  # it was removed meanwhile, or this user may not read it: nor may the container
    with entries:
        for entry in entries:
            try:  # for each entry: one that is removed must not end the search for the others
                if entry.is_symlink() or entry.path.endswith(_LOCAL):
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if not status.st_mode & stat.S_IXOTH:
                    yield entry.path
                    continue
                if depth and entry.name != _CACHED_BY_PYTHON:
                    watched[entry.path] = _stamp(entry.path)
                yield from _search(entry.path, watched, max(0, depth - 1))
            elif stat.S_ISREG(status.st_mode) and (not status.st_mode & stat.S_IROTH or _is_key(entry.path)):
                yield entry.path


def _is_key(path: str) -> bool:
    return path.endswith(_KEYS) and f"{_SOURCES}/" in path
