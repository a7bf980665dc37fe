"""What boxes see of ebuild repositories: the snapshot of a sync where it is what they should see, or the folder."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import run
from gentoomuch_portage.containers.mounts import Bind, Mount, Squashfs

CURRENT, SYNCING = "current", "syncing"
"""Files of a repository's folder: which snapshot is the good one; there as long as a sync has not ended well."""

_LONG = 40
"""Signs of a revision, as many as a commit has."""


class Snapshot(NamedTuple):
    """A repository as it was after a sync."""

    location: str
    revision: str
    image: Path


def mounts(folders: Iterable[Path], cache: Path, box: Path) -> Iterator[Mount]:
    """Mounts of repositories, read-only.

    Args:
        box: the box's own folder.
    """
    known = {one.location: one for one in snapshots(cache)}
    for number, folder in enumerate(folders):
        one = known.get(str(folder))
        if one is not None and (unfinished(one) or revision(folder) == one.revision):
            yield Squashfs(str(one.image), str(folder), str(folder), str(box / "snapshots" / str(number)))
        else:  # nobody has synced it, or somebody has changed it since
            yield Bind(str(folder), str(folder))


def snapshots(cache: Path) -> Iterator[Snapshot]:
    """The good snapshot of each repository that has one."""
    for file in sorted((cache / "snapshots").glob(f"*/{CURRENT}")):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            one = Snapshot(str(told["location"]), str(told["revision"]), file.parent / str(told["image"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # written by another version: the next sync writes it anew
        if one.image.is_file():
            yield one


def unfinished(one: Snapshot) -> bool:
    """Whether the last sync of its repository did not end well, or is still at it."""
    return (one.image.parent / SYNCING).exists()


def revision(folder: Path) -> str:
    """What names the state of a repository: a commit where nothing was changed since, a digest otherwise.

    Of a repository that rsync brings, the digest is of its timestamps: what is changed there goes with the next sync.
    """
    if (folder / ".git").exists() and run.where("git"):
        return _commit(folder) or _state(folder)
    stamps = [folder / "metadata" / name for name in ("timestamp.commit", "timestamp.chk", "timestamp.x")]
    told = [stamp.read_bytes() for stamp in stamps if stamp.is_file()]
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:_LONG] if told else _state(folder)


def _commit(folder: Path) -> str:
    """The commit of a work tree; empty where files were changed or added."""
    owner = folder.stat().st_uid
    user = owner if owner and not os.geteuid() else None  # its configuration may name programs that git starts
    git = ["git", "-C", str(folder)]
    head = run.run([*git, "rev-parse", "--verify", "HEAD"], keep=True, accept=(), user=user)
    status = run.run([*git, "status", "--porcelain"], keep=True, accept=(), user=user)
    return head.out.strip() if not head.status and not status.status and not status.out else ""


def _state(folder: Path) -> str:
    """A digest of the names, sizes and times of all files."""
    total = hashlib.sha256()
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != ".git")
        for name in sorted(names):
            path = Path(above, name)
            seen = path.lstat()
            total.update(os.fsencode(path.relative_to(folder)))
            total.update(f"\0{seen.st_size}\0{seen.st_mtime_ns}\0".encode())
    return total.hexdigest()[:_LONG]
