"""TOML files whose keys and types are known: one error with file, line and the way out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.errors import BadFile, BadSetting, listed, nearest, unreadable


class Kinds(tuple[str, ...]):
    """Kinds of containers to choose from: these, and those that other distributions make.

    Docker is none of them, and yet no slip: it is refused later, with why.
    """

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return super().__contains__(word) or word == "docker" or word in isolation_kinds.names()


PROFILE: Mapping[str, Any] = {
    "make_profile": str,
    "base": ("host", "none"),
    "cpu": str,
    "layers": [str],
    "patches": [str],
    "root": str,
    "isolation": Kinds(("none", "auto", "bwrap", "unshare", "nspawn", "podman", "vm")),
    "emerge": [str],
    "unmask": {kind: (bool, [str]) for kind in ("keywords", "live", "use", "license", "mask")},
    "binpkg": {
        "build": bool,
        "use": bool,
        "remote": bool,
        "unknown": ("reject", "accept"),
        "prefer": ("newest", "fastest"),
        "audit": bool,
        "sign": bool,
    },
    "container": {"processes": int, "disk": str, "kernel": str},
}
"""Keys of ``profiles/NAME.toml``. A type; a tuple of words or types to choose from; a list of one type; a table."""

DEFAULTS: Mapping[str, Any] = {
    **PROFILE,
    "strict": bool,
    "paths": {"state": str, "cache": str},
    "binhost": {
        "*": {
            "cpu": str,
            "key": str,
            "priority": int,
            "fallback": bool,
            "timeout": int,
            "index": ("signed", "plain"),
        }
    },
}
"""Keys of ``gentoomuch.toml``: those of a profile, and a few of its own. ``*`` stands for any name."""


def load(path: Path, schema: Mapping[str, Any], *, missing_ok: bool = False) -> dict[str, Any]:
    """Read a TOML file and hold it against a schema.

    Raises:
        BadFile: it cannot be read, or is no TOML.
        BadSetting: a key is unknown, or a value has the wrong type.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        if missing_ok:
            return {}
        raise BadFile(path, 0, "there is no such file") from error
    except OSError as error:
        raise unreadable(path, error) from error
    text = _decoded(path, content)
    import tomllib  # only where there is a file: gm-emerge without a profile needs none

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found_at = re.search(r" \(at (?:line (\d+), .*|end of document)\)$", str(error))
        told, line = str(error)[: found_at.start() if found_at else None], found_at[1] if found_at else None
        what = f"this is no TOML: {told[:1].lower()}{told[1:]}"
        raise BadFile(path, int(line or _begun(text)), what, remedy="mend that line") from error
    check(path, text, found, schema)
    return found


def line_of(text: str, table: tuple[str, ...], key: str, value: str = "") -> int:
    """The line, from 1, where the statement that sets a key begins; 0 where none does.

    Args:
        table: names of the tables around it, from the outermost.
        value: look for the line of that statement which names it, as one of several in a list.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if key in line and _parsed(lines[:number]) is not None:
            end = next((end for end in range(number + 1, len(lines) + 1) if _parsed(lines[:end]) is not None), number)
            if _holds(_parsed(lines[:end]), (*table, key)):
                named = (at for at in range(number, end) if f'"{value}"' in lines[at] or f"'{value}'" in lines[at])
                return next(named, number) + 1 if value else number + 1
    return 0


def _parsed(lines: list[str]) -> dict[str, Any] | None:
    """What the first lines of a file say; None where they end within a statement."""
    import tomllib

    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except tomllib.TOMLDecodeError:
        return None


def _holds(found: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadFile(path, line, "this is no UTF-8", remedy="mend that line") from error


def _begun(text: str) -> int:
    """The line where the statement begins that the end of a file cuts off."""
    lines = text.rstrip().split("\n")
    return max(number for number in range(len(lines)) if _parsed(lines[:number]) is not None) + 1


def check(
    path: Path, text: str, found: Mapping[str, Any], schema: Mapping[str, Any], table: tuple[str, ...] = ()
) -> None:
    """Hold what a TOML text says against a schema.

    Args:
        path: where it stands, for messages.
        table: names of the tables around it, from the outermost.

    Raises:
        BadSetting: a key is unknown, or a value has the wrong type.
    """
    for key, value in found.items():
        wanted = schema.get(key, schema.get("*"))
        if wanted is None:
            near = nearest(key, schema)
            where = f" in [{'.'.join(table)}]" if table else ""
            raise BadSetting(
                path, line_of(text, table, key), f"unknown key {key!r}{where} {listed(schema, most=20)}",
                remedy=f"{near} ?" if near else "leave it out",
            )  # fmt: skip
        if isinstance(wanted, dict) and isinstance(value, dict):
            check(path, text, value, wanted, (*table, key))
        elif not _fits(value, wanted):
            told = f"{key} = {value!r} is not {_told(wanted)}"
            raise BadSetting(path, line_of(text, table, key), told, remedy=_example(key, wanted))


def _fits(value: object, wanted: object) -> bool:
    match wanted:
        case type():
            return type(value) is wanted
        case [one]:
            return isinstance(value, list) and all(_fits(item, one) for item in value)
        case tuple():
            return value in wanted or any(_fits(value, one) for one in wanted if not isinstance(one, str))
    return False


def _told(wanted: object) -> str:
    """A type in words: ``a list of strings``."""
    match wanted:
        case type():
            return {str: "a string", bool: "true or false", int: "a whole number"}[wanted]
        case [_]:
            return "a list of strings"
        case tuple():
            return " or ".join(f'"{one}"' if isinstance(one, str) else _told(one) for one in wanted)
    return "a table"


_EXAMPLES = {str: '"..."', bool: "true", int: "10"}


def _example(key: str, wanted: object) -> str:
    match wanted:
        case type():
            return f"{key} = {_EXAMPLES[wanted]}"
        case [_]:
            return f'{key} = ["...", "..."]'
        case (str(first), *_):
            return f'{key} = "{first}"'
        case tuple():
            return f"{key} = true"
    return f"[{key}]"
