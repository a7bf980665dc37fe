"""A file that takes the place of another in one step, as Portage would have written it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.pkgindex import stanza

NEW = ".gm-Packages-"
"""How the names of files begin that have not taken their places."""


class Fresh(NamedTuple):
    """A file that is to take the place of another."""

    number: int
    name: Path
    target: Path
    header: bytes

    def take_place(self) -> None:
        """With the owner and the time that Portage gives it. Source: binarytree._pkgindex_write, _file_permissions."""
        folder = self.target.parent.stat()
        before = self.target.stat().st_mode if self.target.exists() else 0o644
        os.fchmod(self.number, (before | folder.st_mode & 0o060) & 0o777)
        with suppress(PermissionError):
            os.fchown(self.number, -1, folder.st_gid)
        seconds = stanza.number(stanza.fields(self.header), "TIMESTAMP")
        os.utime(self.number, (seconds, seconds))
        self.name.replace(self.target)


@contextmanager
def fresh(target: Path, header: bytes) -> Iterator[Fresh]:
    """A file to write to; gone at the end unless it took its place."""
    number, name = tempfile.mkstemp(prefix=NEW, dir=target.parent)
    try:
        yield Fresh(number, Path(name), target, header)
    finally:
        os.close(number)
        Path(name).unlink(missing_ok=True)
