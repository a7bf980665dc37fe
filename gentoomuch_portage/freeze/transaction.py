"""Put many files and folders in their places, all of them or none, whenever the process dies.

What is to be put lies in a folder beside the places, ``.thaw-...``; then ``state/thaw.json`` lists what goes where, and
that file's appearance is the moment from which on it is done: whoever comes next finishes it. Until then nothing has
changed. The profile's own file goes away first and comes last, so that nobody finds a profile with half of its layers.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile, NoPrivilege
from gentoomuch_portage.freeze.archive import Member

_STAGED = ".thaw-"


class Work(NamedTuple):
    """What is to be put where."""

    profile: str
    """Path of the profile's file."""
    text: str
    """What it will say."""
    folders: dict[str, str]
    """Place -> name in the folder that waits; empty where the place is only to be cleared."""
    files: dict[str, str]
    """Place -> text."""


def place(settings: Settings) -> Path:
    """Where what is to be done is written down."""
    return settings.state / "thaw.json"


def staged(settings: Settings) -> list[Path]:
    """The folders that wait, or that a process which died before it was decided has left."""
    return sorted(settings.config.glob(f"{_STAGED}*"))


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Be the only one who puts anything, with all finished that others have left.

    Raises:
        NoPrivilege: the state cannot be written.
    """
    with fs.locked(settings.state / "thaw.lock"):
        _finish(settings)
        for left in staged(settings):
            shutil.rmtree(left, ignore_errors=True)
        yield


def finish(settings: Settings) -> None:
    """Finish what a process that died has begun, whatever configuration is in force; nothing where none did.

    Raises:
        BadFile: it cannot be finished.
    """
    if place(settings).is_file():
        with alone(settings):
            pass


def put(settings: Settings, work: Work, trees: dict[str, list[Member]]) -> None:
    """Do a work. Call it while ``alone``.

    Args:
        trees: name of a folder -> its files, with paths below it.

    Raises:
        NoPrivilege: a place cannot be written.
    """
    _writable(settings, work)
    fresh = Path(tempfile.mkdtemp(prefix=_STAGED, dir=fs.ensure(settings.config)))
    try:
        for name, members in trees.items():
            (fresh / name).mkdir(parents=True)
            for one in members:
                _write(fresh / name / one.path, one)
        fs.write(place(settings), json.dumps({"staged": str(fresh.absolute()), "work": work._asdict()}, sort_keys=True))
    except BaseException:
        if not place(settings).is_file():
            shutil.rmtree(fresh, ignore_errors=True)
        raise
    _finish(settings)


def _write(path: Path, member: Member) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        out.write(member.content)
        out.flush()
        os.fsync(out.fileno())
    path.chmod(member.mode)


def _writable(settings: Settings, work: Work) -> None:
    """Find out before the first change whether all of them can be made.

    Raises:
        NoPrivilege: one cannot.
    """
    for one in (str(settings.config / "any"), work.profile, *work.folders, *work.files):
        there = next(folder for folder in Path(one).parents if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise NoPrivilege(f"{there} cannot be written", remedy="run it as the owner of that folder")


def _finish(settings: Settings) -> None:
    """Do what is written down, from whatever point it has come to.

    Raises:
        BadFile: it is no text of ours, or what was to be put is gone.
    """
    try:
        told = json.loads(place(settings).read_text(encoding="utf-8"))
        work, fresh = Work(**told["work"]), Path(told["staged"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadFile(place(settings), 0, f"this tells of no thaw: {error}", remedy=f"rm {place(settings)}") from error
    for target, name in work.folders.items():
        if not fresh.is_dir() or (name and not (fresh / name).is_dir() and not Path(target).is_dir()):
            what = f"it tells of a thaw, and what waited in {fresh} for {target} is gone"
            raise BadFile(place(settings), 0, what, remedy=f"rm {place(settings)}, then thaw again with --replace")
    Path(work.profile).unlink(missing_ok=True)
    for number, (target, name) in enumerate(sorted(work.folders.items())):
        _swap(Path(target), fresh / name if name else None, fresh / f".old-{number}")
    for target, text in sorted(work.files.items()):
        fs.write(Path(target), text)
    fs.write(Path(work.profile), work.text)
    place(settings).unlink()
    shutil.rmtree(fresh, ignore_errors=True)


def _swap(target: Path, fresh: Path | None, old: Path) -> None:
    """Put a folder in the place of another; nothing where that was done before."""
    if fresh is not None and not fresh.is_dir():
        return
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        old.parent.mkdir(exist_ok=True)
        target.rename(old)
    if fresh is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
