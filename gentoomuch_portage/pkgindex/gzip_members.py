"""``Packages.gz`` in members: what changed is compressed again, the rest is copied.

A gzip file may be several, one behind the other, and every reader takes them for one (Source: RFC 1952, 2.2). With
one for the header and one for each 128 KiB of entries, a package more costs milliseconds; all of it
would cost seconds at 100,000.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gentoomuch_portage.pkgindex.edit import Edit, View

_TEXT = 128 << 10
"""Bytes of text of a member, about."""


class Member(NamedTuple):
    """One of the new file: bytes of the old file, or new ones."""

    text: int
    """Bytes of text."""
    content: bytes
    """Of gzip; empty where the old ones stay."""
    start: int = 0
    """Of the old ones in the old file."""
    end: int = 0


def packed(text: bytes) -> bytes:
    """One member."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
    return squeeze.compress(text) + squeeze.flush()


def members(view: View, header: bytes, changes: Iterable[Edit], old: list[list[int]]) -> Iterator[Member]:
    """The members of the file for a changed ``Packages``.

    Args:
        view: of ``Packages`` as it was.
        changes: as ``splice.write`` takes them.
        old: bytes of text and of gzip of the members there were, the header first; empty: all are made anew.
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
    raise AssertionError("an entry goes over the border of a member")


def _bodies(view: View, old: list[list[int]]) -> Iterator[tuple[int, int, int, int]]:
    """Where the text of each member of the body lies, and where its gzip lies with how many bytes; 0 for none."""
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
    """Members of about one size, each ending where an entry does."""
    while text:
        border = text.find(b"\n\n", _TEXT) + 2 if len(text) > 2 * _TEXT else len(text)
        border = border if border > 1 else len(text)
        yield Member(border, packed(text[:border]))
        text = text[border:]
