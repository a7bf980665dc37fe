"""The logs of a box: it writes them into an empty folder, from where plain files are added to those of the host.

The folder of the host itself is never in a box: what stands there as a link, Portage on the host would write through.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gentoomuch_portage import process
from gentoomuch_portage.containers import helpers, id_maps
from gentoomuch_portage.containers.spec import Bind, Box

_FOLDER = "logs"
_AT_ONCE = 500
"""Names in one command line."""


def mount(box: Path, logdir: Path) -> Bind:
    """PORTAGE_LOGDIR in a box.

    Args:
        box: the box's own folder.
    """
    return Bind(str(box / _FOLDER), str(logdir), writable=True)


def prepare(box: Path, found: Box) -> None:
    """Make the folder of a box that has such a mount, for the users whose the host's is."""
    logdir = _logdir(box, found)
    if logdir is not None and not (box / _FOLDER).is_dir():
        (box / _FOLDER).mkdir()
        seen = logdir.stat()
        (box / _FOLDER).chmod(stat.S_IMODE(seen.st_mode))
        with suppress(OSError):  # the user of a box without root has no such number
            os.chown(box / _FOLDER, seen.st_uid, seen.st_gid)


def take_out(box: Path) -> None:
    """Add a box's logs to those of the host, new ones whole and others at their end, and forget them in the box.

    Raises:
        OSError: one of the host's cannot be written, or is a link.
        ProgramFailed: the kernel does not let us have those that the box's users own.
    """
    own = box / _FOLDER
    logdir = _logdir(box, Box.from_json((box / "box.json").read_text(encoding="utf-8"))) if own.is_dir() else None
    if logdir is None:
        return
    _hand_over(own)
    failed: OSError | None = None
    for file in _plain(own):
        try:
            _add(file, logdir / file.relative_to(own))
        except OSError as error:  # the others are kept
            failed = error
        file.unlink()
    if failed is not None:
        raise failed


def _logdir(box: Path, found: Box) -> Path | None:
    source = str(box / _FOLDER)
    return next((Path(one.target) for one in found.mounts if isinstance(one, Bind) and one.source == source), None)


def _plain(folder: Path) -> Iterator[Path]:
    """Files that are one, by names that one can read."""
    for above, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if name.isprintable()]
        for name in sorted(names):
            seen = Path(above, name).lstat()
            if name.isprintable() and stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
                yield Path(above, name)


def _add(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    seen = file.stat()
    new = not os.path.lexists(target)
    number = os.open(
        target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(number, "ab") as log, file.open("rb") as told:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return  # somebody wants it told elsewhere
        shutil.copyfileobj(told, log)
        if new:
            with suppress(OSError):
                os.fchown(number, seen.st_uid, seen.st_gid)
            os.fchmod(number, stat.S_IMODE(seen.st_mode) & 0o664)


def _hand_over(folder: Path) -> None:
    """Make logs that the users of a box own those of the user whose box it was; root owns them anyway."""
    if not os.geteuid():
        return
    ranges = id_maps.subordinate("uid")
    found = [
        str(Path(above, name))
        for above, folders, names in os.walk(folder)
        for name in (*folders, *names)
        if _theirs(Path(above, name).lstat(), ranges)
    ]
    for first in range(0, len(found), _AT_ONCE):
        owner = [
            *helpers.words("containers.root_helper"),
            "chown",
            "-hR",
            "0:0",
            "--",
            *found[first : first + _AT_ONCE],
        ]
        process.run(owner, env=helpers.environment(), keep=True)


def _theirs(seen: os.stat_result, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= seen.st_uid < first + count for first, count in ranges)
