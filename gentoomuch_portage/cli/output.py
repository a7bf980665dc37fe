"""Rows in columns, for people."""

import re
from collections.abc import Iterable, Sequence

from gentoomuch_portage import console

_COLOUR = re.compile(r"\033\[[0-9;]*m")


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, a line a row, with a faint line of headings; the last column is as wide as it likes."""
    lines = [[console.faint(one) for one in headings], *(list(row) for row in rows)]
    widths = [max(_width(line[at]) for line in lines) for at in range(len(headings))]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _width(cell: str) -> int:
    return len(_COLOUR.sub("", cell))
