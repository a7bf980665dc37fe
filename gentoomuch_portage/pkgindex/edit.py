"""Change some entries of a sorted ``Packages`` without reading the others: find their places, copy what lies between.

Portage parses and writes every entry for each package that it adds: 3 s at 100,000. The file is sorted by CPV
(Source: PackageIndex.write), so a place takes a dozen probes, and the kernel copies the rest.
"""

import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.pkgindex import entry

_PART = 4 << 20
"""Bytes that are copied at once."""
Written = Callable[[int, int], object]
"""Gets where a part of the new file begins, and how many bytes it has."""


class Edit(NamedTuple):
    """Bytes of the old file that others take the place of; offsets are absolute."""

    start: int
    end: int
    text: bytes = b""


class View(NamedTuple):
    """A ``Packages`` file that is looked into."""

    data: mmap.mmap | bytes
    body: int
    """Where the first entry begins: behind the header and its empty line."""

    @property
    def header(self) -> bytes:
        """The header with its empty line."""
        return self.data[: self.body]

    def first(self, cpv: bytes, *, after: bool = False) -> int:
        """Where the first entry of a cpv begins, or would; ``after`` all of that cpv where it is said."""
        low, high = self.body, len(self.data)
        while low < high:
            start, end = self._around((low + high) // 2)
            here = entry.cpv(self.data[start:end])
            if here < cpv or (after and here == cpv):
                low = end
            else:
                high = start
        return low

    def of_cpv(self, cpv: bytes) -> Iterator[tuple[int, bytes]]:
        """The entries of a cpv, each with its place."""
        at, end = self.first(cpv), self.first(cpv, after=True)
        for one in entry.each(self.data[at:end]):
            yield at, one
            at += len(one)

    def _around(self, place: int) -> tuple[int, int]:
        """The bounds of the entry that a byte belongs to."""
        start = self.data.rfind(b"\n\n", self.body, place) + 2
        start = self.body if start < self.body + 2 else start
        end = self.data.find(b"\n\n", max(start, place - 1)) + 2
        return start, end if end > 1 else len(self.data)


@contextmanager
def viewed(file: Path) -> Iterator[View]:
    """Look into a ``Packages`` file; what is seen stays as it is, whoever replaces the file.

    Raises:
        OSError: it is not there.
    """
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        if not size:
            yield View(b"", 0)
            return
        with mmap.mmap(opened.fileno(), size, prot=mmap.PROT_READ) as data:
            body = data.find(b"\n\n") + 2
            yield View(data, body if body > 1 else size)


def edits(view: View, drop: Iterable[tuple[bytes, str]], add: Iterable[bytes]) -> list[Edit]:
    """What changes in the file, in its order.

    Args:
        drop: cpv and path of entries that go; those that are not there are no error.
        add: entries that come, each behind those of the same cpv. Source: PackageIndex.write, a stable sort.
    """
    found = [
        Edit(at, at + len(one))
        for cpv, path in dict.fromkeys(drop)
        for at, one in view.of_cpv(cpv)
        if entry.path(one) == path
    ]
    come: dict[int, list[bytes]] = {}
    for one in sorted(add, key=entry.cpv):
        come.setdefault(view.first(entry.cpv(one), after=True), []).append(one)
    found += [Edit(at, at, b"".join(ones)) for at, ones in come.items()]
    return sorted(found, key=lambda edit: (edit.start, edit.end))


def _untold(_at: int, _size: int) -> None:
    """Nobody wants to know."""


def write(
    view: View, source: int, target: int, header: bytes, changes: Iterable[Edit], written: Written = _untold
) -> None:
    """Write the changed file.

    Args:
        source: a descriptor of the viewed file.
        target: a descriptor, empty.
        header: with its empty line.
        written: told of each large part as soon as it is there.
    """
    put(target, header)
    at = view.body
    for edit in changes:
        copy(source, target, at, edit.start, written)
        put(target, edit.text)
        at = edit.end
    copy(source, target, at, len(view.data), written)


def copy(source: int, target: int, start: int, end: int, written: Written = _untold) -> None:
    """Append bytes of one file to another, without seeing them where the kernel can do that."""
    while start < end:
        try:
            done = os.copy_file_range(source, target, min(end - start, _PART), start)
        except OSError:  # a kernel or a file system that cannot; reading and writing says what else may be wrong
            done = 0
        if not done:
            part = os.pread(source, min(end - start, 1 << 20), start)
            if not part:
                raise entry.BadIndex("Packages", "it became shorter while it was read")
            put(target, part)
            done = len(part)
        start += done
        if done == _PART:
            written(os.lseek(target, 0, os.SEEK_CUR) - done, done)


def put(target: int, text: bytes) -> None:
    """Append all of a text to a file."""
    while text:
        text = text[os.write(target, text) :]
