# SPDX-License-Identifier: GPL-2.0-or-later
"""The fleet as one HTML page: charts and tables in a single file without scripts and external resources."""

import time
from collections.abc import Iterable, Sequence
from html import escape

from gentoomuch_portage.html_page import format_document, format_table, format_tiles
from gentoomuch_portage.reports.fleet import Member

_WIDTH, _BAR, _ROW = 640, 30, 42
"""Units of a chart: its width, the height of a bar, and of a bar with the space around it."""
_LEFT, _TOP, _BOTTOM = 180, 44, 64
"""Space for names, for the title, and for the axis and the legend."""
_TICKS = 4
"""Most numbers on the axis besides 0."""
_MAX_NAME = 20
"""Characters of a name; the rest is cut."""
_GOOD, _OLD, _GONE = "#2e7d5b", "#d98324", "#9a3b3b"
_NUMBERS = ("installed", "out of date", "versions behind", "GLSA", "rejected", "hit rate")
_COLUMNS = ("profile", "cpu", "root", *_NUMBERS, "last merge")


def format_page(members: Sequence[Member], at: float) -> str:
    """Format the page.

    Args:
        at: when the data was collected, in seconds since 1970.
    """
    usable = [member for member in members if not member.error]
    details = [_details(member) for member in usable if member.outdated]
    details += [_advisories(member) for member in usable if member.advisories]
    body = (
        "<h1>Fleet</h1>",
        f'<p class="when">as of {time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(at))}</p>',
        format_tiles(_tiles(usable)),
        f'<section class="charts">{"".join(f"<figure>{chart}</figure>" for chart in _charts(usable))}</section>',
        "<h2>Profiles</h2>",
        format_table("profiles", _COLUMNS, map(_row, members), numbers=_NUMBERS),
        "<h2>Details</h2>",
        *details,
    )
    return format_document("gentoomuch fleet", "\n".join(body))


def _tiles(members: Sequence[Member]) -> Iterable[tuple[str, str]]:
    built, taken = sum(member.built for member in members), sum(member.from_binpkg for member in members)
    return (
        (str(len(members)), "profiles"),
        (str(sum(member.installed for member in members)), "installed packages"),
        (str(sum(len(member.outdated) for member in members)), "out of date"),
        (str(sum(len(member.advisories) for member in members)), "security advisories"),
        (str(sum(member.rejected for member in members)), "binary packages rejected"),
        (_percent(taken / (built + taken) if built + taken else None), "merged without building"),
    )


def _charts(members: Sequence[Member]) -> list[str]:
    """Return the charts: outdated packages, sources of merged packages, and binary packages, per profile."""
    if not members:
        return []
    newer = [sum(bool(package.newest) for package in member.outdated) for member in members]
    removed = [len(member.outdated) - count for member, count in zip(members, newer, strict=True)]
    binary, built = [member.from_binpkg for member in members], [member.built for member in members]
    rejected = [member.rejected for member in members]
    usable = [member.binpkgs_available - member.rejected for member in members]
    names = [member.profile for member in members]
    return [
        _bars("Out of date", names, (("newer version", _OLD, newer), ("removed", _GONE, removed))),
        _bars("Merged packages", names, (("from binpkg", _GOOD, binary), ("built", _OLD, built))),
        _bars("Binary packages in PKGDIR", names, (("usable", _GOOD, usable), ("rejected", _GONE, rejected))),
    ]


def _bars(title: str, names: Sequence[str], series: Sequence[tuple[str, str, Sequence[int]]]) -> str:
    """Draw horizontal stacked bars as SVG.

    Args:
        names: one for each bar, from the top.
        series: label, colour, and a value for each bar.
    """
    most = max(1, *(sum(values) for values in zip(*(values for _, _, values in series), strict=True)))
    height, scale = _TOP + _ROW * len(names) + _BOTTOM, (_WIDTH - _LEFT - 24) / most
    parts = [_text(_WIDTH / 2, 26, title, "middle", size=20)]
    for index, name in enumerate(names):
        x, y = float(_LEFT), _TOP + _ROW * index + (_ROW - _BAR) / 2
        short = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
        parts.append(_text(_LEFT - 10, y + 20, short, "end"))
        for label, colour, values in series:
            width, value = values[index] * scale, str(values[index])
            if values[index]:
                hover = f"<title>{escape(f'{name}: {value} {label}')}</title>"
                parts.append(_rectangle(x, y, width, _BAR, colour, hover))
            if width > 11 * len(value):
                parts.append(_text(x + width / 2, y + 20, value, "middle", size=15, colour="#fff"))
            x += width
    axis = _TOP + _ROW * len(names)
    parts += [_text(_LEFT + tick * scale, axis + 20, str(tick), "middle") for tick in _ticks(most)]
    for index, (label, colour, _) in enumerate(series):
        x = _LEFT + index * (_WIDTH - _LEFT) / len(series)
        parts += [_rectangle(x, axis + 36, 16, 16, colour), _text(x + 24, axis + 50, label, "start")]
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _ticks(most: int) -> range:
    return range(0, most + 1, -(-most // _TICKS))


def _text(x: float, y: float, text: str, anchor: str, *, size: int = 17, colour: str = "currentColor") -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    return f"<text {attributes}>{escape(text)}</text>"


def _rectangle(x: float, y: float, width: float, height: float, colour: str, content: str = "") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}">{content}</rect>'


def _row(member: Member) -> str:
    head = f'<th scope="row">{escape(member.profile)}</th>'
    if member.error:
        return f'<tr>{head}<td colspan="9" class="bad">{escape(member.error)}</td></tr>\n'
    last = time.strftime("%Y-%m-%d", time.localtime(member.last)) if member.last else "never"
    texts = (member.cpu.removeprefix("-march=") or "-", member.root)
    numbers = (
        member.installed,
        len(member.outdated),
        member.behind,
        len(member.advisories),
        f"{member.rejected} of {member.binpkgs_available}",
        _percent(member.hit_rate),
    )
    cells = [f"<td>{escape(text)}</td>" for text in texts] + [f'<td class="n">{number}</td>' for number in numbers]
    return f"<tr>{head}{''.join(cells)}<td>{last}</td></tr>\n"


def _details(member: Member) -> str:
    lines = [(old.cpv, old.newest or "removed", str(old.behind or "-")) for old in member.outdated]
    summary = f"{member.profile}: {len(member.outdated)} of {member.installed} out of date"
    return _fold(summary, ("installed", "newest", "versions behind"), lines)


def _advisories(member: Member) -> str:
    return _fold(f"{member.profile}: security advisories", ("GLSA", "title"), member.advisories)


def _fold(summary: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Format a table that is shown when its summary is clicked."""
    rows = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in lines)
    return f"<details><summary>{escape(summary)}</summary>{format_table(summary, heads, rows)}</details>"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
