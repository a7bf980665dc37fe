# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse overlays/ of a .gentoo directory: sections of repos.conf, without ambiguous syntax."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.safe_read import Line, Raw, check_plain, display_path, parse_lines

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
"""Source: PMS, "Repository names"."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A repository that a project requires."""

    name: str
    options: tuple[tuple[str, str], ...]
    """Key and value, sorted; keys in lower case."""
    line: Line
    """The line of its section."""

    def get(self, key: str, otherwise: str = "") -> str:
        """Return the value of a key."""
        return dict(self.options).get(key, otherwise)


def parse_overlays(raws: Iterable[Raw], top: Path) -> tuple[Overlay, ...]:
    """Parse the sections of all files, sorted by code point.

    Raises:
        BadFile[bad-dotgentoo]: a line is invalid or ambiguous.
    """
    places: dict[str, Line] = {}
    options: dict[str, dict[str, tuple[str, Line]]] = {}
    for raw in raws:
        section = ""
        for line in parse_lines(display_path(top, raw.name), raw.content, "#;"):
            if line.text.startswith("["):
                section = _parse_section(line)
                if section in places:
                    message = f"[{section}] exists in {places[section]}, too"
                    raise line.error(message, hint="merge the sections")
                places[section], options[section] = line, {}
                continue
            key, value = _parse_option(line, section)
            if key in options[section]:
                raise line.error(f"{key} is set in {options[section][key][1]}, too", hint="remove one")
            options[section][key] = value, line
    return tuple(
        Overlay(name, tuple((key, value) for key, (value, _) in sorted(options[name].items())), places[name])
        for name in sorted(places)
    )


def _parse_section(line: Line) -> str:
    """Parse ``[name]``.

    Raises:
        BadFile[bad-dotgentoo]: it is not the name of a repository, or it is [DEFAULT].
    """
    text = line.text.rstrip()
    name = text[1:-1]
    if not text.endswith("]"):
        raise line.error("invalid section: [name] is required, without text after it")
    if name == "DEFAULT":
        raise line.error("[DEFAULT] would change all repositories of the host", hint="repeat it in each section")
    if not _NAME.fullmatch(name):
        raise line.error(f"invalid name of a repository: {name!r}", hint="use letters, digits, _ and -")
    return name


def _parse_option(line: Line, section: str) -> tuple[str, str]:
    """Parse ``key = value`` or ``key: value``.

    Raises:
        BadFile[bad-dotgentoo]: it is invalid, or has a comment or an interpolation.
    """
    if not section:
        raise line.error("the line is outside of a section", hint="write [name] above it")
    if line.text[0] in " \t":
        raise line.error("an indented line would continue the previous one", hint="remove the indentation")
    if not (match := re.fullmatch(r"([^=:]*)[=:](.*)", line.text)):
        raise line.error("neither [name] nor key = value")
    key, value = match[1].strip().lower(), match[2].strip()
    check_plain(line, key + value.replace("\t", " "))
    if not re.fullmatch(r"[a-z0-9_-]+", key):
        raise line.error(f"invalid key {key!r}")
    if re.search(r"(^|\s)[#;]", value):
        raise line.error("a comment after a value would be part of it", hint="move it to a separate line")
    if "%" in value:
        raise line.error("% would be an interpolation", hint="write the value out")
    return key, value
