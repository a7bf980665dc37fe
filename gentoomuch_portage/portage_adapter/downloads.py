# SPDX-License-Identifier: GPL-2.0-or-later
"""Describe downloads of packages from binhosts; does not import Portage."""

from collections.abc import Callable
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
