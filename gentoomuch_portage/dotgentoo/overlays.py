"""The overlays/ of a .gentoo folder: sections of repos.conf, without anything that readers disagree on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.dotgentoo.safe_read import Line, Raw, lines, place, plain

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
"""Source: PMS, "Repository names"."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A repository that a project needs."""

    name: str
    options: tuple[tuple[str, str], ...]
    """Key and value, sorted; keys in lower case."""
    line: Line
    """Where its section begins."""

    def get(self, key: str, otherwise: str = "") -> str:
        """The value of a key."""
        return dict(self.options).get(key, otherwise)


def overlays(raws: Iterable[Raw], top: Path) -> tuple[Overlay, ...]:
    """All sections of all files, sorted by code point.

    Raises:
        BadFolder: a line is wrong, or would be read differently by different readers.
    """
    places: dict[str, Line] = {}
    options: dict[str, dict[str, tuple[str, Line]]] = {}
    for raw in raws:
        section = ""
        for line in lines(place(top, raw.name), raw.content, "#;"):
            if line.text.startswith("["):
                section = _section(line)
                if section in places:
                    told = f"[{section}] stands in {places[section]} too"
                    raise line.refuse(told, remedy="put all of it into one section")
                places[section], options[section] = line, {}
                continue
            key, value = _option(line, section)
            if key in options[section]:
                raise line.refuse(f"{key} stands in {options[section][key][1]} too", remedy="keep one of the two")
            options[section][key] = value, line
    return tuple(
        Overlay(name, tuple((key, value) for key, (value, _) in sorted(options[name].items())), places[name])
        for name in sorted(places)
    )


def _section(line: Line) -> str:
    """The name in ``[name]``.

    Raises:
        BadFolder: it is no name of a repository, or [DEFAULT].
    """
    text = line.text.rstrip()
    name = text[1:-1]
    if not text.endswith("]"):
        raise line.refuse("a section is [name], with nothing behind it")
    if name == "DEFAULT":
        raise line.refuse("[DEFAULT] would change every repository of the host", remedy="say it in each section")
    if not _NAME.fullmatch(name):
        raise line.refuse(f"{name!r} is no name of a repository", remedy="use letters, digits, _ and -")
    return name


def _option(line: Line, section: str) -> tuple[str, str]:
    """Key and value of ``key = value`` or ``key: value``.

    Raises:
        BadFolder: it is something else, or has a comment or an interpolation in it.
    """
    if not section:
        raise line.refuse("this stands in no section", remedy="write [name] above it")
    if line.text[0] in " \t":
        raise line.refuse("an indented line continues the one above it", remedy="begin it at the margin")
    if not (found := re.fullmatch(r"([^=:]*)[=:](.*)", line.text)):
        raise line.refuse("this is neither [name] nor key = value")
    key, value = found[1].strip().lower(), found[2].strip()
    plain(line, key + value.replace("\t", " "))
    if not re.fullmatch(r"[a-z0-9_-]+", key):
        raise line.refuse(f"{key!r} is no key")
    if re.search(r"(^|\s)[#;]", value):
        raise line.refuse("a comment behind a value is taken for a part of it", remedy="put it on a line of its own")
    if "%" in value:
        raise line.refuse("% means interpolation", remedy="write out what it stands for")
    return key, value
