# SPDX-License-Identifier: GPL-2.0-or-later
"""Replace many files and directories completely or not at all, even if the process is killed.

The new content is staged in a directory beside the targets, ``.thaw-...``. Then ``state/thaw.json`` lists the
changes: once that file exists, the transaction is committed, and the next command finishes it. Before, nothing has
changed. The profile's own file is removed first and written last, so that no profile has half of its layers.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, stored
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile
from gentoomuch_portage.freeze.archive import Member

_STAGED = ".thaw-"


class Changes(NamedTuple):
    """The files and directories to be written."""

    profile: str
    """Path of the profile's file."""
    text: str
    """Its new content."""
    folders: dict[str, str]
    """Target -> name in the staging directory; empty if the target is only removed."""
    files: dict[str, str]
    """Path -> text."""


def journal_path(settings: Settings) -> Path:
    """Return the path of the journal."""
    return settings.state / "thaw.json"


def list_staged(settings: Settings) -> list[Path]:
    """List the staging directories, also those of killed processes."""
    return sorted(settings.config.glob(f"{_STAGED}*"))


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Lock out other transactions, and finish those of killed processes.

    Raises:
        NoPrivilege: the state cannot be written.
    """
    with fs.locked(settings.state / "thaw.lock"):
        _finish(settings)
        for leftover in list_staged(settings):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def finish(settings: Settings) -> None:
    """Finish the transaction of a killed process, if there is one.

    Raises:
        BadFile: it cannot be finished.
    """
    if os.path.lexists(journal_path(settings)):
        with locked(settings):
            pass


def apply(settings: Settings, changes: Changes, trees: dict[str, list[Member]]) -> None:
    """Apply changes. The caller holds ``locked``.

    Args:
        trees: name of a staging directory -> its files, with paths below it.

    Raises:
        NoPrivilege: a target cannot be written.
    """
    _check_writable(settings, changes)
    with fs.disk_errors(settings.config):
        _stage_and_apply(settings, changes, trees)


def _stage_and_apply(settings: Settings, changes: Changes, trees: dict[str, list[Member]]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=_STAGED, dir=fs.ensure(settings.config)))
    try:
        for name, members in trees.items():
            (staging / name).mkdir(parents=True)
            for member in members:
                _write(staging / name / member.path, member)
        fs.write(
            journal_path(settings),
            json.dumps({"staged": str(staging.absolute()), "work": changes._asdict()}, sort_keys=True),
        )
    except BaseException:
        if not journal_path(settings).is_file():
            shutil.rmtree(staging, ignore_errors=True)
        raise
    _finish(settings)


def _write(path: Path, member: Member) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        out.write(member.content)
        out.flush()
        os.fsync(out.fileno())
    path.chmod(member.mode)


def _check_writable(settings: Settings, changes: Changes) -> None:
    """Check before the first change whether all targets can be written.

    Raises:
        NoPrivilege: a target cannot be written.
    """
    for target in (str(settings.config / "any"), changes.profile, *changes.folders, *changes.files):
        fs.check_writable(Path(target).parent)


def _finish(settings: Settings) -> None:
    """Apply the journal, from any state that a killed process left.

    Raises:
        BadFile: the journal is invalid, or staged files are missing.
    """
    hint = stored.removal_command(journal_path(settings))
    journal = stored.load(journal_path(settings), _parse_journal, "the journal of a thaw", hint=hint)
    if journal is None:
        return
    changes, staging = journal
    for target, name in changes.folders.items():
        if not staging.is_dir() or (name and not (staging / name).is_dir() and not Path(target).is_dir()):
            what = f"the staged files for {target} are missing in {staging}"
            raise BadFile(
                journal_path(settings), 0, what, hint=f"rm {journal_path(settings)}, then thaw again with --replace"
            )
    Path(changes.profile).unlink(missing_ok=True)
    for number, (target, name) in enumerate(sorted(changes.folders.items())):
        _replace_directory(Path(target), staging / name if name else None, staging / f".old-{number}")
    for target, text in sorted(changes.files.items()):
        fs.write(Path(target), text)
    fs.write(Path(changes.profile), changes.text)
    journal_path(settings).unlink()
    shutil.rmtree(staging, ignore_errors=True)


def _parse_journal(text: str) -> tuple[Changes, Path]:
    """Parse the changes and the staging directory.

    Raises:
        ValueError, TypeError, KeyError: it is not a journal.
    """
    journal = json.loads(text)
    changes = Changes(**journal["work"])
    values = (changes.profile, changes.text, *changes.folders.items(), *changes.files.items())
    if not all(isinstance(text, str) for value in values for text in ((value,) if isinstance(value, str) else value)):
        raise TypeError("not a thaw")
    return changes, Path(journal["staged"])


def _replace_directory(target: Path, staged: Path | None, old: Path) -> None:
    """Replace a directory by another; do nothing if that was done before."""
    if staged is not None and not staged.is_dir():
        return
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        old.parent.mkdir(exist_ok=True)
        target.rename(old)
    if staged is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(target)
