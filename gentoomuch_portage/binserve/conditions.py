"""What the conditions and the range of a request ask for: nothing, a part, or all of a file.

Source: RFC 9110, sections 13 and 14.
"""

import functools
import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_TOLERANCE = 5
"""Seconds that Portage adds to the time of the index it has. Source: portage/util/_urlopen.py."""


class Answer(NamedTuple):
    """What is sent: a status, and of a file so many bytes from there on."""

    status: int
    start: int = 0
    length: int = 0


def answer(headers: Mapping[str, str], *, size: int, etag: str, mtime: int) -> Answer:
    """Decide what a GET or HEAD of a file gets.

    Of several ranges none is looked at: whoever asks for them gets the whole file, as RFC 9110 allows.

    Args:
        etag: with its quotes.
        mtime: seconds since the epoch.
    """
    if _unmodified(headers, etag, mtime):
        return Answer(304)
    asked = headers.get("Range", "")
    if not asked or not _same(headers.get("If-Range"), etag, mtime):
        return Answer(200, 0, size)
    found = _RANGE.fullmatch(asked.strip())
    if not found or not (found[1] or found[2]):
        return Answer(200, 0, size)
    return _part(found[1], found[2], size)


def _part(first: str, last: str, size: int) -> Answer:
    if not first:
        start, end = max(0, size - int(last)), size
        start = start if int(last) else size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return Answer(200, 0, size)
    return Answer(206, start, end - start) if start < size else Answer(416)


def _unmodified(headers: Mapping[str, str], etag: str, mtime: int) -> bool:
    """Whether the client has this very file.

    A time must be the file's own, not merely later: an index that was rolled back is older than what a client
    has, and one that grew within Portage's tolerance is hardly newer. nginx compares so by default, too.
    """
    if (tags := headers.get("If-None-Match")) is not None:
        return tags.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    since = headers.get("If-Modified-Since")
    return since is not None and _seconds(since) in {mtime, mtime + _TOLERANCE}


def _same(tag: str | None, etag: str, mtime: int) -> bool:
    return tag is None or tag == etag or _seconds(tag) == mtime


def _seconds(date: str) -> int:
    """Seconds since the epoch; -1 where it is no date."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return -1


@functools.lru_cache(maxsize=512)
def date(seconds: int) -> str:
    """A time as HTTP writes it."""
    return formatdate(seconds, usegmt=True)
