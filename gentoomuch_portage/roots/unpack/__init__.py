# SPDX-License-Identifier: GPL-2.0-or-later
"""Unpack untrusted archives into a directory, with owners, modes, times, links and attributes.

No link is followed. Run as a program, it runs as root of a user namespace with the user's subordinate IDs:
``python -m gentoomuch_portage.roots.unpack DIRECTORY LAYERS`` with ``LAYERS`` in JSON.
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

from gentoomuch_portage import console, fs, process, startup
from gentoomuch_portage.fs import FOLDER, within
from gentoomuch_portage.roots.errors import BadArchive
from gentoomuch_portage.roots.unpack import entries
from gentoomuch_portage.roots.unpack.entries import WHITEOUT, Entry
from gentoomuch_portage.roots.unpack.stream import Packed, Progress
from gentoomuch_portage.roots.unpack.write import apply_whiteout, clear, set_metadata, write_entry

_ARCHIVES_FAULT = (
    0, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG,
    errno.EINVAL, errno.ERANGE, errno.E2BIG,
)  # fmt: skip
"""Error numbers of an archive with conflicting entries."""
_REJECTED, _REASON = 65, ".gentoomuch-rejected"
"""Status of the program in the user namespace if it rejects an archive, and the file with the reason."""


def unpack(layers: Sequence[Packed], target: Path, *, quiet: bool = False, layered: bool = False) -> None:
    """Unpack one archive, or the layers of an image in order, into an empty directory.

    Args:
        layered: whether the directory has the layers below these, and is not empty.

    All layers are in one file. For an ordinary user, it runs in a user namespace with the user's subordinate IDs.

    Raises:
        BadArchive: an entry is below a link of a lower layer, or the archive has changed since it was checked.
        ProgramFailed: the program in the user namespace failed; it has printed the reason.
    """
    if os.geteuid():
        # A descriptor cannot be opened from another user namespace by its number, but inherited.
        jobs = json.dumps([layer._replace(file="/dev/stdin") for layer in layers])
        [file] = {layer.file for layer in layers}
        with Path(file).open("rb") as given:
            words = (str(target), jobs, *(["quiet"] if quiet else []), *(["layered"] if layered else []))
            if as_root("roots.unpack", *words, given=given, accept=(0, _REJECTED)) == _REJECTED:
                raise BadArchive(*json.loads((target / _REASON).read_text(encoding="utf-8")))
        return
    with console.progress("unpacking", sum(layer.size for layer in layers), quiet=quiet) as show:
        for layer in layers:
            unpack_archive(layer, target, lambda read: show("", read), layered=layered or len(layers) > 1)


def as_root(module: str, *words: str, given: IO[bytes] | None = None, accept: Collection[int] = (0,)) -> int:
    """Run a module of ours as root of a user namespace with the user's subordinate IDs.

    Args:
        given: its standard input.
        accept: the statuses that are not an error.

    Returns:
        Its status.

    Raises:
        ProgramFailed: it ended with another status.
    """
    argv = [*startup.python("containers.root_helper"), *startup.python(module), *words]
    return process.run(argv, given=given, accept=accept).status


def unpack_archive(
    packed: Packed, target: Path, progress: Progress = lambda _read: None, *, layered: bool = False
) -> None:
    """Unpack one archive into a directory.

    Args:
        layered: whether whiteouts remove entries of lower layers.
    """
    top = os.open(target, FOLDER)
    try:
        if layered:  # first, as whiteouts apply only to lower layers
            for entry, _ in entries.read(packed):
                if _removes(entry):
                    with _archive_errors(packed, entry):
                        apply_whiteout(top, entry.path)
        with fs.public_umask():
            _write_entries(packed, top, progress)
    finally:
        os.close(top)


def _write_entries(packed: Packed, top: int, progress: Progress) -> None:
    folders: dict[tuple[str, ...], tarfile.TarInfo] = {}
    for entry, content in entries.read(packed, progress):
        if _removes(entry):
            continue
        with _archive_errors(packed, entry):
            write_entry(top, entry, content)
        if entry.info.isdir():
            folders[entry.path] = entry.info
        else:
            folders.pop(entry.path, None)
    for path, info in sorted(folders.items(), reverse=True):  # inner ones first: each entry changes the times above
        with _archive_errors(packed, Entry(path, info)), within(top, path) as number:
            set_metadata(number, info)


def _removes(entry: Entry) -> bool:
    return bool(entry.path) and entry.path[-1].startswith(WHITEOUT)


@contextmanager
def _archive_errors(packed: Packed, entry: Entry) -> Iterator[None]:
    """Convert exceptions of conflicting entries to BadArchive, but not those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ARCHIVES_FAULT:
            raise
        raise BadArchive(packed.label, f"{entry.info.name!r}: {error.strerror}") from error


def main(argv: Sequence[str]) -> int:
    """Unpack archives in a user namespace."""
    target = Path(argv[0])
    with console.report_errors() as end:
        try:
            layers = [Packed(*fields) for fields in json.loads(argv[1])]
            unpack(layers, target, quiet="quiet" in argv[2:], layered="layered" in argv[2:])
        except BadArchive as error:
            with within(os.open(target, FOLDER), ()) as top:
                clear(top, _REASON)  # the archive may contain a link with this name
                number = os.open(_REASON, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=top)
                with os.fdopen(number, "w", encoding="utf-8") as out:
                    json.dump([error.archive, error.reason], out)
            return _REJECTED
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
