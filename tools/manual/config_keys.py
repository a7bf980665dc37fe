# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of our TOML files as tables in Markdown."""

from collections.abc import Iterable, Iterator

from gentoomuch_portage.config import schema
from gentoomuch_portage.config.schema import Key


def rows(keys: Iterable[Key]) -> Iterator[str]:
    """Generate a Markdown table of keys."""
    yield from ("| key | type | default | description |", "|---|---|---|---|")
    for key in keys:
        unit = f" ({key.unit})" if key.unit else ""
        default = "" if key.default == "" else f"`{schema.toml_value(key.default)}`"
        yield f"| `{key.name}` | {schema.describe(key.type, quote='`')}{unit} | {default} | {key.help} |"
