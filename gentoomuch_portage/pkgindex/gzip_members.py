# SPDX-License-Identifier: GPL-2.0-or-later
"""Write ``Packages.gz`` in members: changed ones are compressed again, the others are copied.

A gzip file may have several members, which all readers join (Source: RFC 1952, 2.2). With one for the header and one
for each 128 KiB of entries, another package takes milliseconds; the whole file would take seconds for 100,000 entries.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gentoomuch_portage.pkgindex.edit import Edit, View

_TEXT = 128 << 10
"""Approximate size of the text of a member, in bytes."""


class Member(NamedTuple):
    """A member of the new file: bytes of the old file, or new ones."""

    text: int
    """Size of the text in bytes."""
    content: bytes
    """New compressed bytes; empty if those of the old file are copied."""
    start: int = 0
    """Offset in the old file."""
    end: int = 0


def packed(text: bytes) -> bytes:
    """Compress a member."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
    return squeeze.compress(text) + squeeze.flush()


def members(view: View, header: bytes, changes: Iterable[Edit], old: list[list[int]]) -> Iterator[Member]:
    """Yield the members of the file for a changed ``Packages``.

    Args:
        view: the ``Packages`` before the changes.
        changes: as for ``edit.write``.
        old: size of text and of compressed bytes of each old member, the header first; empty to compress all.
    """
    yield Member(len(header), packed(header))
    waiting = list(changes)
    for start, end, place, size in _bodies(view, old):
        last = end == len(view.data)
        here = [edit for edit in waiting if edit.start < end or last]
        waiting = waiting[len(here) :]
        if not here and size:
            yield Member(end - start, b"", place, place + size)
            continue
        overlap = max((edit.end for edit in here), default=0)
        yield from _anew(_text(view, start, end, here) if overlap <= end else _no_border())


def _no_border() -> bytes:
    raise AssertionError("an entry is in two members")


def _bodies(view: View, old: list[list[int]]) -> Iterator[tuple[int, int, int, int]]:
    """Yield start and end of the text of each member, and offset and size of its compressed bytes; 0 for none."""
    at, place = view.body, old[0][1] if old else 0
    for text, size in old[1:]:
        yield at, at + text, place, size
        at, place = at + text, place + size
    if at < len(view.data) or not old[1:]:
        yield at, len(view.data), 0, 0


def _text(view: View, start: int, end: int, changes: list[Edit]) -> bytes:
    parts, at = [], start
    for edit in changes:
        parts += [view.data[at : edit.start], edit.text]
        at = edit.end
    return b"".join((*parts, view.data[at:end]))


def _anew(text: bytes) -> Iterator[Member]:
    """Yield members of about one size, each ending at the end of an entry."""
    while text:
        border = text.find(b"\n\n", _TEXT) + 2 if len(text) > 2 * _TEXT else len(text)
        border = border if border > 1 else len(text)
        yield Member(border, packed(text[:border]))
        text = text[border:]
