# SPDX-License-Identifier: GPL-2.0-or-later
"""The common design of our HTML pages: one file each, light and dark, without scripts and external resources."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --text: #222; --faint: #555; --paper: #f6f5f3; --sheet: #fff; --line: #dedbd6;
  --bad: #9a3b3b; --link: #1c5c9c; font: 16px/1.45 "DejaVu Sans", "Noto Sans", Arial, sans-serif;
  color: var(--text); background: var(--paper) }
@media (prefers-color-scheme: dark) { :root { --text: #e6e4e0; --faint: #b4b0a8; --paper: #1b1b1d; --sheet: #26262a;
  --line: #3f3f45; --bad: #f0a3a3; --link: #8ec5ff } }
body { max-width: 75rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; margin: .5rem 0 0; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem }
a { color: var(--link) } .when { color: var(--faint); margin: 0 0 1rem; font-size: .85rem }
.tiles { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)) }
.tiles li, figure, .wide, pre { background: var(--sheet); border: 1px solid var(--line); border-radius: .4rem }
.tiles li { padding: .6rem .8rem; font-size: .85rem; color: var(--faint) }
.tiles b { display: block; font-size: 1.5rem; color: var(--text) }
.charts { display: grid; gap: 1rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) }
figure { margin: 0; padding: .5rem }
figure svg { display: block; width: 100%; height: auto; font-family: inherit; fill: currentColor }
pre { padding: .6rem .8rem; margin: .4rem 0; overflow-x: auto; font-size: .85rem; user-select: all }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .85rem }
th, td { padding: .45rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap }
tr:last-child > * { border-bottom: 0 } .n { text-align: right } .bad { color: var(--bad); white-space: normal }
details { margin-top: .75rem } summary { cursor: pointer; padding: .3rem 0 }
form, nav { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .5rem 0 }
input, button { font: inherit; padding: .3rem .5rem }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; form-action 'self'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def format_document(title: str, body: str) -> str:
    """Format a whole page.

    Args:
        title: text.
        body: HTML.
    """
    return _PAGE.format(title=escape(title), style=_STYLE, body=body)


def format_tiles(tiles: Iterable[tuple[str, str]]) -> str:
    """Format numbers with their names below, as HTML."""
    items = (f"<li><b>{escape(number)}</b> {escape(name)}</li>" for number, name in tiles)
    return f'<ul class="tiles">{"".join(items)}</ul>'


def format_command(text: str) -> str:
    """Format lines to copy, as HTML: a click selects all of them, and the keyboard scrolls where the page is narrow."""
    return f'<pre tabindex="0">{escape(text)}</pre>'


def format_table(name: str, heads: Sequence[str], rows: Iterable[str], *, numbers: Iterable[str] = ()) -> str:
    """Format a table that can be scrolled, also by keyboard, where the page is narrow.

    Args:
        name: what it is a table of, for screen readers.
        heads: names of the columns.
        rows: each a row of cells, as HTML.
        numbers: the columns that are aligned to the right.
    """
    right = {*numbers}
    head = "".join(
        f'<th scope="col" class="n">{escape(head)}</th>' if head in right else f'<th scope="col">{escape(head)}</th>'
        for head in heads
    )
    label = f'<div class="wide" role="region" aria-label="{escape(name)}" tabindex="0">'
    return f"{label}<table><tr>{head}</tr>\n{''.join(rows)}</table></div>"
