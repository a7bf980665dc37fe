# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables and messages that several commands print."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config.settings import Settings

_COLOUR = re.compile(r"\033\[[0-9;]*m")


_CUT = "..."
_NARROWEST = 12
"""Columns that are left of the longest path."""


def format_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table with one line per row and faint headings.

    On a terminal, paths are shortened as far as the table is wider: the home directory is ``~``, then their beginning
    is ``...``, the longest first. Elsewhere they are whole.
    """
    lines = [[console.faint(heading) for heading in headings], *(list(row) for row in rows)]
    if columns := console.find_columns():
        _shorten_paths(lines, columns)
    widths = _widths(lines)
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*lines, strict=True)]


def _shorten_paths(lines: list[list[str]], columns: int) -> None:
    """Shorten cells that are absolute paths until the table has this many columns, or none can be shorter."""
    try:
        home = str(Path.home())
    except RuntimeError:  # the user has none
        home = "/"
    while (excess := sum(widths := _widths(lines)) + 2 * (len(widths) - 1) - columns) > 0:
        paths = [
            (len(cell), line, at)
            for line in lines
            for at, cell in enumerate(line)
            if cell.startswith(("/", "~/", _CUT)) and len(cell) == widths[at] > _NARROWEST
        ]
        if not paths:
            return
        length, line, at = max(paths, key=lambda path: path[0])
        if home != "/" and line[at].startswith(f"{home}/"):
            line[at] = f"~{line[at].removeprefix(home)}"
        else:
            others = [len(other[at]) for other in lines if other is not line] or [0]
            wanted = max(length - excess, min(max(others), length - 1), _NARROWEST)
            line[at] = _CUT + line[at][len(_CUT) - wanted :]


def report_fallback_state(settings: Settings) -> None:
    """Report that the user's own state was written instead of the system's."""
    if settings.shared is not None:
        console.info(f"gentoomuch: written to {settings.state}, because this user cannot write {settings.shared}")


def _width(cell: str) -> int:
    return len(_COLOUR.sub("", cell))
