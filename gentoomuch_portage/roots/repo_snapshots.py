# SPDX-License-Identifier: GPL-2.0-or-later
"""Squashfs snapshots of ebuild repositories, one for each revision."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gentoomuch_portage import fs, stored
from gentoomuch_portage.containers.host_paths import CURRENT, SYNCING, revision
from gentoomuch_portage.process import run
from gentoomuch_portage.roots.errors import unknown_repository

if TYPE_CHECKING:
    from gentoomuch_portage.portage_adapter.config import Synced

_ATOM = "sys-fs/squashfs-tools"
_SUFFIX = ".squashfs"


class SnapshotResult(NamedTuple):
    """The result of a snapshot."""

    image: Path
    is_new: bool
    """Whether it was created now."""
    removed: int
    """The number of old snapshots that were removed."""


def select(names: list[str], known: "list[Synced]", *, syncs: bool = True) -> "list[Synced]":
    """Return the repositories to sync, or to create a snapshot of.

    Args:
        names: default: all with auto-sync.
        syncs: False includes repositories that cannot be synced.

    Raises:
        UsageError[unknown-repository]: a name is not configured, or cannot be synced.
    """
    if not names:
        return [repository for repository in known if not syncs or _is_automatic(repository)]
    repositories = {repository.name: repository for repository in known}
    for name in names:
        if name not in repositories:
            hint = f"use one of: {' '.join(sorted(repositories))}"
            raise unknown_repository(name, "it is not configured", hint=hint)
        if syncs and not (repositories[name].kind and repositories[name].uri):
            hint = "set both in repos.conf, see portage(5)"
            raise unknown_repository(name, "it has no sync-type or no sync-uri", hint=hint)
    return [repositories[name] for name in dict.fromkeys(names)]


def _is_automatic(repository: "Synced") -> bool:
    return bool(repository.kind and repository.uri and repository.auto)


def snapshot_directory(cache: Path, repository: "Synced") -> Path:
    """Return the directory of a repository's snapshots."""
    return cache / "snapshots" / repository.name


@contextmanager
def syncing(cache: Path, repository: "Synced") -> Iterator[Callable[[], None]]:
    """Hold the lock for a sync of a repository; meanwhile, containers see its last snapshot.

    Yields:
        A function to call when the sync has succeeded: then containers see the directory if it has no new snapshot.
    """
    folder = fs.ensure(snapshot_directory(cache, repository), cache=cache)
    with fs.locked(folder / "lock"):
        fs.write_cache(folder / SYNCING, "", durable=True)
        yield (folder / SYNCING).unlink


def make_snapshot(cache: Path, repository: "Synced", *, keep: int = 2) -> SnapshotResult:
    """Create a snapshot of a repository unless its revision has a whole one, and remove old snapshots.

    Args:
        keep: how many snapshots to keep, including the new one; containers can use a removed one while it is mounted.

    Raises:
        MissingProgram: mksquashfs is not installed.
        ProgramFailed: mksquashfs failed; the last snapshot is kept.
    """
    folder = fs.ensure(snapshot_directory(cache, repository), cache=cache)
    name = revision(repository.location)
    image = folder / f"{name}{_SUFFIX}"
    is_new = not _is_whole(image)
    for left in sorted(folder.glob(".new-*")):
        fs.remove_unlocked(left)  # of a run that was killed
    if is_new:
        with fs.fresh_folder(folder) as temporary:
            _squash(repository.location, temporary / "image")
            fs.remove(image)
            (temporary / "image").replace(image)
    else:
        image.touch()  # it is the newest again
    fields = {"location": str(repository.location.resolve()), "revision": name, "image": image.name}
    fs.write_cache(folder / CURRENT, json.dumps(fields) + "\n", durable=True)
    old = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.lstat().st_mtime_ns, reverse=True)[keep:]
    for path in old:
        fs.remove(path)
    return SnapshotResult(image, is_new, len(old))


def _is_whole(image: Path) -> bool:
    """Return whether a file is a squashfs that is not cut. Source: struct squashfs_super_block of the kernel."""
    try:
        with stored.open_regular(image) as file:
            start = file.read(48)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    return start.startswith(b"hsqs") and len(start) == 48 and size >= int.from_bytes(start[40:], "little")


def _squash(folder: Path, image: Path) -> None:
    words = ["-noappend", "-quiet", "-no-progress", "-comp", "zstd", "-no-xattrs", "-all-root"]
    run(["mksquashfs", str(folder), str(image), *words, "-e", ".git"], keep=True, atom=_ATOM)
