"""The fleet as one HTML page: charts and tables in one file that loads nothing and runs nothing."""

import sys
import time
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from gentoomuch_portage.errors import MachineError
from gentoomuch_portage.reports.fleet import Member

_WIDTH = 640
_BAR, _AROUND = 46, 130
"""Units of a chart's own measure: the height of a bar with the room about it, and of title, axis and legend."""
_MARKS = 4
"""So many numbers besides the 0 stand below a chart."""
_FONT = '"DejaVu Sans", "Noto Sans", Arial, sans-serif'
_GOOD, _OLD, _GONE = "#2e7d5b", "#d98324", "#9a3b3b"


class MissingCharts(MachineError):
    """The library that draws the charts of ``fleet --html`` is not installed."""

    code = "missing-charts"

    def __init__(self) -> None:
        super().__init__(
            "pygal is not installed, which draws the charts",
            remedy="emerge dev-python/pygal, or pip install 'gentoomuch-portage[fleet]'",
        )


def page(members: Sequence[Member], at: float) -> str:
    """The page.

    Args:
        at: when the members were looked at, in seconds since the epoch.

    Raises:
        MissingCharts: pygal is not installed.
    """
    well = [one for one in members if not one.error]
    template = Template(Path(__file__).with_name("fleet.html").read_text(encoding="utf-8"))
    return template.substitute(
        when=time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(at)),
        tiles="".join(_tiles(well)),
        charts="".join(f"<figure>{chart}</figure>" for chart in _charts(well)),
        rows="".join(map(_row, members)),
        details="".join(_details(one) for one in well if one.outdated),
    )


def _tiles(well: Sequence[Member]) -> Iterable[str]:
    built, taken = sum(one.built for one in well), sum(one.taken for one in well)
    told = (
        (str(len(well)), "profiles"),
        (str(sum(one.installed for one in well)), "installed packages"),
        (str(sum(len(one.outdated) for one in well)), "out of date"),
        (str(sum(one.refused for one in well)), "binary packages refused"),
        (_percent(taken / (built + taken) if built + taken else None), "merged without building"),
    )
    return (f"<li><b>{escape(number)}</b> {escape(name)}</li>" for number, name in told)


def _charts(well: Sequence[Member]) -> list[str]:
    """Stacked bars, a profile each: what is out of date, where packages came from, what is refused."""
    if not well:
        return []
    old = [sum(bool(one.newest) for one in each.outdated) for each in well]
    gone = [len(each.outdated) - newer for each, newer in zip(well, old, strict=True)]
    names = [each.profile for each in well]
    return [
        _bars("Out of date", names, (("newer there", _OLD, old), ("gone", _GONE, gone))),
        _bars(
            "Merged packages",
            names,
            (("from binpkg", _GOOD, [one.taken for one in well]), ("built", _OLD, [one.built for one in well])),
        ),
        _bars(
            "Binary packages in PKGDIR",
            names,
            (
                ("run here", _GOOD, [one.offered - one.refused for one in well]),
                ("refused", _GONE, [one.refused for one in well]),
            ),
        ),
    ]


def _bars(title: str, names: Sequence[str], series: Sequence[tuple[str, str, Sequence[int]]]) -> str:
    try:
        import pygal
        from pygal.style import Style
    except ImportError as error:
        raise MissingCharts from error
    style = Style(
        background="transparent", plot_background="transparent", foreground="#222", foreground_strong="#222",
        foreground_subtle="#ccc", colors=tuple(colour for _, colour, _ in series), font_family=_FONT,
        title_font_size=20, label_font_size=17, major_label_font_size=17, legend_font_size=17, value_font_size=15,
        value_colors=("#fff",) * len(series), opacity="1", transition="0s",
    )  # fmt: skip
    # It leaves a finder for its maps, by a protocol that Python has given up: every later import would warn of it.
    sys.meta_path[:] = [one for one in sys.meta_path if type(one).__module__ != "pygal"]
    chart = pygal.HorizontalStackedBar(
        style=style, width=_WIDTH, height=_AROUND + _BAR * len(names), title=title, legend_at_bottom=True, js=[],
        legend_at_bottom_columns=len(series), print_values=True, print_zeroes=False, show_y_guides=False,
        value_formatter=lambda value: f"{value:.0f}", truncate_label=24, x_label_rotation=0,
    )  # fmt: skip
    chart.uuid = title.lower().replace(" ", "-")
    chart.x_labels = list(reversed(names))  # the first profile above
    most = max(map(sum, zip(*(values for _, _, values in series), strict=True)))
    chart.y_labels = range(0, most + 1, max(1, -(-most // _MARKS)))
    for name, _, values in series:
        chart.add(name, list(reversed(values)))
    return _without_scripts(chart)


def _without_scripts(chart: Any) -> str:
    """The drawing alone: pygal adds a script for its tooltips, comments and the day."""
    from pygal.etree import etree

    tree = chart.render_tree()
    for parent in list(tree.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] == "script":
                parent.remove(child)
    return str(etree.tostring(tree, encoding="unicode"))


def _row(one: Member) -> str:
    if one.error:
        return f'<tr><th>{escape(one.profile)}</th><td colspan="8" class="bad">{escape(one.error)}</td></tr>'
    last = time.strftime("%Y-%m-%d", time.localtime(one.last)) if one.last else "never"
    texts = (one.cpu.removeprefix("-march=") or "-", one.root)
    numbers = (one.installed, len(one.outdated), one.behind, f"{one.refused} of {one.offered}", _percent(one.hit_rate))
    cells = [f"<td>{escape(text)}</td>" for text in texts] + [f'<td class="n">{number}</td>' for number in numbers]
    return f"<tr><th>{escape(one.profile)}</th>{''.join(cells)}<td>{last}</td></tr>"


def _details(one: Member) -> str:
    told = [(old.cpv, old.newest or "gone", str(old.behind or "-")) for old in one.outdated]
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in told)
    head = "<tr><th>installed</th><th>newest</th><th>versions behind</th></tr>"
    summary = f"{escape(one.profile)}: {len(one.outdated)} of {one.installed} out of date"
    return f"<details><summary>{summary}</summary><div class=wide><table>{head}{rows}</table></div></details>"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
