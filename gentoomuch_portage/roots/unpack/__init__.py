"""Unpack archives into a folder: owners, modes, times, links and attributes as they are, and nothing outside of it.

Every path is walked without following a link. As a program it does so as the root of a user's own range of numbers:
``python -m gentoomuch_portage.roots.unpack FOLDER LAYERS`` with ``LAYERS`` in JSON.
"""

import errno
import json
import os
import sys
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gentoomuch_portage import console, fs, process
from gentoomuch_portage.fs import FOLDER, within
from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.unpack import entries
from gentoomuch_portage.roots.unpack.entries import WHITEOUT, Entry
from gentoomuch_portage.roots.unpack.stream import Packed, Told
from gentoomuch_portage.roots.unpack.write import clear, dress, lay, white_out

_ARCHIVES_FAULT = (
    0, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG,
    errno.EINVAL, errno.ERANGE, errno.E2BIG,
)  # fmt: skip
_REFUSED, _WHY = 65, ".gentoomuch-refused"
"""Status of the part with other numbers where it refuses an archive, and the file that says why."""


def unpack(layers: Sequence[Packed], target: Path, *, quiet: bool = False) -> None:
    """Unpack one archive, or the layers of an image one upon the other, into an empty folder of ours.

    All of them lie in one file. As an ordinary user it is done with the numbers that the system has given to that user.

    Raises:
        BadArchive: an archive goes through a link that a layer below has laid, or changed since it was checked.
        ProgramFailed: the part that is done with other numbers failed; it has said why.
    """
    if os.geteuid():
        # What we hold open cannot be opened from another user namespace by our number, but handed over.
        told = json.dumps([one._replace(file="/dev/stdin") for one in layers])
        [file] = {one.file for one in layers}
        with Path(file).open("rb") as given:
            words = (str(target), told, *(["quiet"] if quiet else []))
            if as_root("gentoomuch_portage.roots.unpack", *words, given=given, accept=(0, _REFUSED)) == _REFUSED:
                raise BadArchive(*json.loads((target / _WHY).read_text(encoding="utf-8")))
        return
    with console.progress("unpacking", sum(one.size for one in layers), quiet=quiet) as show:
        for one in layers:
            into(one, target, lambda read: show("", read), layered=len(layers) > 1)


def as_root(module: str, *words: str, given: IO[bytes] | None = None, accept: Collection[int] = (0,)) -> int:
    """Run a module of ours as the root of a namespace in which a user has many numbers.

    Args:
        given: its standard input.

    Returns:
        Its status.

    Raises:
        ProgramFailed: it is none of those that are no failure.
    """
    python = [sys.executable, "-P", "-m"]  # -P: nothing is imported from where one happens to stand
    argv = [*python, "gentoomuch_portage.containers.root_helper", *python, module, *words]
    return process.run(argv, given=given, accept=accept).status


def into(packed: Packed, target: Path, told: Told = lambda _read: None, *, layered: bool = False) -> None:
    """Unpack one archive upon what is in a folder.

    Args:
        layered: whiteouts remove what layers below have laid.
    """
    top = os.open(target, FOLDER)
    try:
        if layered:  # before anything of this layer is laid, for they mean the layers below
            for entry, _ in entries.read(packed):
                if _removes(entry):
                    with _blamed(packed, entry):
                        white_out(top, entry.path)
        with fs.for_all():
            _lay_all(packed, top, told)
    finally:
        os.close(top)


def _lay_all(packed: Packed, top: int, told: Told) -> None:
    folders: dict[tuple[str, ...], tarfile.TarInfo] = {}
    for entry, content in entries.read(packed, told):
        if _removes(entry):
            continue
        with _blamed(packed, entry):
            lay(top, entry, content)
        if entry.info.isdir():
            folders[entry.path] = entry.info
        else:
            folders.pop(entry.path, None)
    for path, info in sorted(folders.items(), reverse=True):  # inner ones first: what is laid changes times
        with _blamed(packed, Entry(path, info)), within(top, path) as number:
            dress(number, info)


def _removes(entry: Entry) -> bool:
    return bool(entry.path) and entry.path[-1].startswith(WHITEOUT)


@contextmanager
def _blamed(packed: Packed, entry: Entry) -> Iterator[None]:
    """What does not fit what was laid before is the archive's fault; a full disk is not."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ARCHIVES_FAULT:
            raise
        raise BadArchive(packed.shown, f"{entry.info.name!r}: {error.strerror}") from error


def main(argv: Sequence[str]) -> int:
    """The part of ``unpack`` that needs other numbers."""
    target = Path(argv[0])
    with console.shown() as end:
        try:
            unpack([Packed(*one) for one in json.loads(argv[1])], target, quiet="quiet" in argv[2:])
        except BadArchive as error:
            with within(os.open(target, FOLDER), ()) as top:
                clear(top, _WHY)  # or the archive could have laid a link there
                number = os.open(_WHY, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=top)
                with os.fdopen(number, "w", encoding="utf-8") as out:
                    json.dump([error.where, error.why], out)
            return _REFUSED
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
