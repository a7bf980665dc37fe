"""Squashfs snapshots of repositories: one a revision, and always a good one."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.containers.host_paths import CURRENT, SYNCING, revision
from gentoomuch_portage.portage_adapter.config import Synced
from gentoomuch_portage.process import run
from gentoomuch_portage.roots.errors import UnknownRepository

_ATOM = "sys-fs/squashfs-tools"
_SUFFIX = ".squashfs"


class Taken(NamedTuple):
    """What became of a repository's snapshot."""

    image: Path
    fresh: bool
    """Whether it was made now."""
    removed: int
    """How many old ones went."""


def chosen(names: list[str], known: list[Synced], *, syncs: bool = True) -> list[Synced]:
    """The repositories that are to be synced, or of which only a snapshot is to be made.

    Args:
        names: those that were asked for; all that are synced by themselves where there are none.
        syncs: False takes those that are never synced as well.

    Raises:
        UnknownRepository: there is none of a name, or it cannot be synced.
    """
    if not names:
        return [one for one in known if not syncs or (one.kind and one.uri and one.auto)]
    by = {one.name: one for one in known}
    for name in names:
        if name not in by:
            remedy = f"one of: {' '.join(sorted(by))}"
            raise UnknownRepository(name, "there is no such repository", remedy=remedy)
        if syncs and not (by[name].kind and by[name].uri):
            told = "it has no sync-type or no sync-uri"
            raise UnknownRepository(name, told, remedy="say both in repos.conf; portage(5) tells how")
    return [by[name] for name in dict.fromkeys(names)]


def folder_of(cache: Path, repository: Synced) -> Path:
    """Where its snapshots lie."""
    return cache / "snapshots" / repository.name


@contextmanager
def syncing(cache: Path, repository: Synced) -> Iterator[Callable[[], None]]:
    """Be the only one who syncs a repository; boxes see its last good snapshot until it is said that it ended well.

    Returns:
        To be called then: from there on what stands in the folder is good, whatever becomes of its snapshot.
    """
    folder = fs.ensure(folder_of(cache, repository))
    with fs.locked(folder / "lock"):
        fs.write(folder / SYNCING, "")
        yield (folder / SYNCING).unlink


def take(cache: Path, repository: Synced, *, keep: int = 2) -> Taken:
    """Make a snapshot of a repository, unless there is one of its revision, and let old ones go.

    Args:
        keep: how many stay, the new one among them; boxes that have an old one mounted keep it all the same.

    Raises:
        MissingProgram: there is no mksquashfs.
        ProgramFailed: it failed; the last good snapshot stays.
    """
    folder = fs.ensure(folder_of(cache, repository))
    named = revision(repository.location)
    image = folder / f"{named}{_SUFFIX}"
    fresh = not image.exists()
    for left in sorted(folder.glob(".new-*")):
        fs.remove_unheld(left)  # of a run that was killed
    if fresh:
        with fs.fresh_folder(folder) as making:
            _squash(repository.location, making / "image")
            (making / "image").replace(image)
    else:
        image.touch()  # it is the newest again
    told = {"location": str(repository.location.resolve()), "revision": named, "image": image.name}
    fs.write(folder / CURRENT, json.dumps(told) + "\n")
    old = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda one: one.stat().st_mtime_ns, reverse=True)[keep:]
    for one in old:
        one.unlink()
    return Taken(image, fresh, len(old))


def _squash(folder: Path, image: Path) -> None:
    words = ["-noappend", "-quiet", "-no-progress", "-comp", "zstd", "-no-xattrs", "-all-root"]
    run(["mksquashfs", str(folder), str(image), *words, "-e", ".git"], keep=True, atom=_ATOM)
