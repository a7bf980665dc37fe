# SPDX-License-Identifier: GPL-2.0-or-later
"""Use a directory of binary packages through Portage: its lock, the header of its index, and its entries."""

import errno
import io
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from portage import create_trees
from portage.exception import InvalidDependString, PortageException
from portage.locks import lockfile, unlockfile

from gentoomuch_portage.errors import cannot_write
from gentoomuch_portage.pkgindex import entry as pkgindex_entry
from gentoomuch_portage.portage_adapter.patching import environment, swapped
from gentoomuch_portage.portage_adapter.trees import find_target


class ReadPackages(NamedTuple):
    """The result of reading some files with Portage."""

    entries: tuple[bytes, ...]
    """Their entries in ``Packages``, for the given header."""
    complaints: str
    """Messages of Portage about files that are not packages."""


@dataclass(frozen=True, slots=True)
class Pkgdir:
    """A directory of packages, with the configuration for it."""

    folder: Path
    tree: Any
    """Portage's binarytree; used only within ``portage_adapter``."""

    @property
    def compressed(self) -> bool:
        """Return True if ``Packages.gz`` is written, too."""
        return "compress-index" in self.tree.settings.features

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the index, also against running emerge, while the block runs.

        Raises:
            NoPrivilege: the user may not write to the directory.
            MachineError[disk-full], ReadOnly: its file system is full or read-only.
        """
        try:
            held = lockfile(str(Path(self.tree.pkgdir, "Packages")), wantnewlockfile=1)
        except (PortageException, OSError) as error:
            number = getattr(error, "errno", None) or errno.EACCES  # of Portage's exceptions, the class has it
            cause = OSError(number, os.strerror(number))
            raise cannot_write(self.folder, cause, verb="lock the index of") from error
        try:
            yield
        finally:
            unlockfile(held)

    def header(self, before: bytes, packages: int) -> bytes:
        """Return a new header of the index.

        Args:
            before: the old header with its empty line; empty without an old header.
            packages: number of entries.
        """
        index = self._index(before)
        self.tree._update_pkgindex_header(index.header)
        index.header["TIMESTAMP"], index.header["PACKAGES"] = str(int(time.time())), str(packages)
        return written(index)

    def read_packages(self, paths: Collection[str], header: bytes) -> ReadPackages:
        """Let Portage read some packages, as ``emaint binhost --fix`` does.

        Args:
            paths: relative to the directory.
            header: of the index; entries omit values that are equal to those of the header.
        """
        tree, output = self.tree, io.StringIO()
        tree.populated = True  # otherwise the first package makes it read the whole directory
        with redirect_stderr(output), redirect_stdout(output):
            with swapped(os, "walk", partial(_walk, paths)), swapped(tree, "_load_pkgindex", tree._new_pkgindex):
                tree._populate_local(reindex=True)
            entries = tuple(_entries(tree, self._index(header)))
        return ReadPackages(entries, re.sub(r"\033\[[0-9;]*m", "", output.getvalue()))

    def _index(self, header: bytes) -> Any:
        index = self.tree._new_pkgindex()
        if header:
            index.readHeader(io.StringIO(header.decode("utf-8", "replace")))
        index.modified = False  # otherwise it writes its own TIMESTAMP
        return index


def pkgdir(folder: Path | None) -> Pkgdir:
    """Open a directory of packages, or PKGDIR, with the configuration that the environment names."""
    variables = {"PKGDIR": str(folder.absolute())} if folder else {}
    with environment(variables):
        trees = create_trees(os.environ.get("PORTAGE_CONFIGROOT"), os.environ.get("ROOT"), env={**os.environ})
    tree = find_target(trees)["bintree"]
    return Pkgdir(Path(tree.pkgdir), tree)


def written(index: Any) -> bytes:
    """Format a PackageIndex as the text of its file."""
    out = io.StringIO()
    index.write(out)
    return out.getvalue().encode("utf-8", "backslashreplace")


def parted(text: bytes) -> tuple[bytes, list[bytes]]:
    """Split the text of an index into header and entries."""
    header, _, body = text.partition(b"\n\n")
    return header + b"\n\n", list(pkgindex_entry.each(body))


def _walk(paths: Collection[str], top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what os.walk yields for a directory with only these files."""
    below: dict[str, list[str]] = {}
    for path in sorted(paths):
        parent, _, name = path.rpartition("/")
        below.setdefault(parent, []).append(name)
    for parent, names in below.items():
        yield f"{top}/{parent}".rstrip("/"), [], names


def _entries(tree: Any, index: Any) -> Iterator[bytes]:
    """Yield the entries of the tree. Source: BinhostHandler.fix of emaint, which adds digests after _populate_local."""
    for cpv in tree.dbapi.cpv_all():
        entry = tree._pkgindex_entry(cpv)
        try:
            tree._eval_use_flags(cpv, entry)
        except InvalidDependString:
            continue  # _populate_local has already reported it
        index.packages[:] = [entry]
        yield from parted(written(index))[1]
