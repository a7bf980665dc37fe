# SPDX-License-Identifier: GPL-2.0-or-later
"""Describe downloads of packages from binhosts; does not import Portage."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.portage_adapter.binpkg import Place


class Failure(NamedTuple):
    """The reason to reject a package of a binhost."""

    why: str
    code: str
    lasting: bool = False
    """Whether it fails again as long as the index lists the same file."""
    dead: bool = False
    """Whether the other packages of that binhost would fail as well."""


class Order(NamedTuple):
    """A package to fetch."""

    place: Place
    file: Path
    resume: bool
    """Continue after the existing bytes of the file."""
    user: tuple[int, int, tuple[int, ...]] | None
    """User, group and groups to fetch as; None for the current user."""
    result: int
    """The descriptor that the result is written to."""


class Downloads(NamedTuple):
    """How packages are fetched."""

    argv: tuple[str, ...]
    """The command line of our program."""
    request: Callable[[Order], str]
    """Returns the text for its standard input."""
    read: Callable[[str], Failure | None]
    """Returns the failure in its result, or None."""
    is_ours: Callable[[str], bool]
    """Whether our program fetches the package at a URL regardless of FETCHCOMMAND."""
    reject_reason: Callable[[Place], str]
    """Returns the reason not to fetch a package at all, or an empty text."""
    failed: Callable[[Place, str, Failure], None]
    """``failed(place, cpv, failure)`` is called for a package that is rejected."""


def remove_download(file: Path) -> None:
    """Remove a downloaded file, and the empty file by which Portage has reserved its name in PKGDIR."""
    file.unlink(missing_ok=True)
    if file.suffix == ".partial":
        _remove_empty(file.with_suffix(""))


def remove_if_empty(partial: Path) -> None:
    """Remove a partial file without content, and the reserved name of any partial file.

    Portage leaves both where a download fails, or is cancelled since another package has failed. As long as the name
    is reserved, no other run uses the partial file.
    """
    reserved = partial.with_suffix("")
    with suppress(OSError):
        if not reserved.stat().st_size:
            _remove_empty(partial)
            reserved.unlink()


def _remove_empty(file: Path) -> None:
    with suppress(FileNotFoundError):
        if not file.stat().st_size:
            file.unlink()
