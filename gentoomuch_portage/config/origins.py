# SPDX-License-Identifier: GPL-2.0-or-later
"""The file and line that set each value of a profile."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config import schema
from gentoomuch_portage.config.schema import Key
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import bare

DEFAULT = "default"
"""Where a value comes from that no file sets."""


@dataclass(frozen=True, slots=True)
class Value:
    """A key with its value in effect."""

    key: str
    """``cpu``, or ``binpkg.build`` for one of a table."""
    value: object
    """A string, a boolean, a number, or a list of strings, as in TOML."""
    where: str
    """``FILE:LINE``, or ``default``."""


def values(settings: Settings, name: str = "") -> list[Value]:
    """Return every value of a profile, in the order of the reference.

    Args:
        name: of the profile; empty for the defaults of all profiles.

    Raises:
        GmError: the profile cannot be read.
    """
    merged, files = schema.merge(settings.defaults), [_load_global(settings)]
    if name:
        profile = config_profile.read(settings, name)
        merged = {**profile.values, "root": str(profile.root)}
        files.insert(0, (profile.file, schema.load(profile.file, schema.PROFILE)))
    return [
        Value(".".join(path), list(value) if isinstance(value, tuple) else value, _locate(files, path))
        for path, value in _flatten(merged)
    ]


def own_values(settings: Settings) -> list[Value]:
    """Return every value of ``gentoomuch.toml`` that no profile has: a binhost has a value for each of its keys.

    Raises:
        BadFile, BadFile[bad-setting]: the file is not valid.
    """
    file, content = _load_global(settings)
    values = []
    for key in schema.GENTOOMUCH_KEYS:
        *tables, name = key.name.split(".")
        for path in _expand(tuple(tables), content):
            where = _locate([(file, content)], (*path, name))
            value = key.default if where == DEFAULT else _find_value(content, (*path, name))
            values.append(Value(".".join((*map(_quote, path), name)), value, where))
    return values


def _expand(tables: tuple[str, ...], content: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the tables that match a pattern such as ``binhost.*``."""
    if tables[-1:] == ("*",):
        yield from ((*tables[:-1], name) for name in content.get(tables[0], {}))
    else:
        yield tables


def _quote(name: str) -> str:
    """Return the name of a table as in a TOML header; of a URL without user and password."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else schema.toml_value(bare(name))


def _find_value(content: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        content = content[name]
    return content


def _load_global(settings: Settings) -> tuple[Path, Mapping[str, Any]]:
    file = settings.config / "gentoomuch.toml"
    return file, schema.load(file, schema.GENTOOMUCH, missing_ok=True)


def _flatten(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, key in schema.PROFILE.items():
        if isinstance(key, Key):
            yield (name,), values[name]
        else:
            yield from (((name, inner), values[name][inner]) for inner in key)


def _locate(files: Iterable[tuple[Path, Mapping[str, Any]]], path: tuple[str, ...]) -> str:
    """Return ``FILE:LINE`` of the first file that sets a key, or ``default``."""
    for file, content in files:
        if schema.has_key(content, path):
            return f"{file}:{schema.line_of(file.read_text(encoding='utf-8'), path[:-1], path[-1])}"
    return DEFAULT
