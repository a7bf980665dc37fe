# SPDX-License-Identifier: GPL-2.0-or-later
"""Change a value in the TOML of a profile, and leave all other lines as they are."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from gentoomuch_portage import fs
from gentoomuch_portage.config import schema
from gentoomuch_portage.errors import UsageError


def comments_in_value(file: Path, key: str) -> UsageError:
    """The old value has comments between its lines, and a new value would delete them."""
    return UsageError(
        f"cannot change {key} in {file}: it has comments between its lines",
        code="comments-in-value",
        hint=f"edit {file}",
    )


def unusual_toml(key: str) -> UsageError:
    """The table of a key is written in a form of TOML that gentoomuch cannot change."""
    return UsageError(
        f"cannot change {key}: the header of its table has an unusual form",
        code="unusual-toml",
        hint="gentoomuch profile edit NAME",
    )


def set_value(text: str, key: str, value: Any) -> str:
    """Return valid TOML with another value of a key: ``cpu``, or ``binpkg.use`` in a table.

    The statement of the key is replaced. If there is none, the line with its commented default or example is; if there
    is none either, the statement is added: to its table, or before all tables, those in comments included.

    Raises:
        UsageError[unusual-toml]: the table of the key is written in a form that is not supported.
    """
    *tables, name = key.split(".")
    wanted = _merged(schema.parse_lines([text]) or {}, tables, name, value)
    for lines in _find_places(text.split("\n"), tuple(tables), name, value, wanted):
        if schema.parse_lines(lines) == wanted:
            return "\n".join(lines)
    raise unusual_toml(key)


def _merged(values: Mapping[str, Any], tables: Sequence[str], name: str, value: Any) -> dict[str, Any]:
    """Return parsed TOML with another value of a key."""
    if not tables:
        return {**values, name: value}
    return {**values, tables[0]: _merged(values.get(tables[0], {}), tables[1:], name, value)}


def _find_places(
    lines: list[str], tables: tuple[str, ...], name: str, value: Any, wanted: Mapping[str, Any]
) -> Iterator[list[str]]:
    """Yield the lines with the statement at each place where it may be, the best place first."""
    statement, table = f"{name} = {schema.toml_value(value)}", ".".join(tables)
    if line := schema.line_of("\n".join(lines), tables, name):
        statements = [statement]
        if tables:
            pairs = ", ".join(f"{key} = {schema.toml_value(each)}" for key, each in wanted[table].items())
            statements += [f"{table}.{statement}", f"{table} = {{ {pairs} }}"]
        yield from ([*lines[: line - 1], new, *lines[_find_end(lines, line) :]]
                    for new in _add_comment(statements, lines[line - 1]))  # fmt: skip
    start, end = _find_section(lines, table)
    commented = (index for index in range(start, end) if lines[index].startswith(f"# {name} = "))
    if (index := next(commented, -1)) >= 0:
        comment = lines[index].partition("#")[2].partition("#")[2]
        changed = list(lines)
        changed[index] = f"{statement:<26} #{comment}" if comment else statement
        yield changed
        if tables:
            yield [*changed[: start - 1], lines[start - 1].removeprefix("# "), *changed[start:]]
    while end > start and not lines[end - 1].strip():
        end -= 1
    yield [*lines[:end], statement, *lines[end:]]
    if tables:
        yield [*lines[: len(lines) - (lines[-1] == "")], "", f"[{table}]", statement, ""]
        yield [f"{table}.{statement}", *lines]


def _add_comment(statements: list[str], line: str) -> Iterator[str]:
    """Yield statements with the comment at the end of the line that they replace."""
    old, hash_, comment = line.rpartition("#")
    after = f"  #{comment}" if hash_ and schema.parse_lines([old]) else ""
    return (statement + after for statement in statements)


def _find_section(lines: list[str], table: str) -> tuple[int, int]:
    """Return the first line of a table, after its header, and the line after its last line, both counted from 0.

    Headers in comments count, too. Both are the end of the keys before all tables if there is no such table.
    """
    headers = [index for index, line in enumerate(lines) if line.lstrip("# ").startswith("[")]
    headers.append(len(lines) - (lines[-1] == ""))
    if not table:
        return 0, headers[0]
    spans = [
        (index + 1, end)
        for index, end in pairwise(headers)
        if lines[index].replace(" ", "").lstrip("#").startswith(f"[{table}]")
    ]
    written = [span for span in spans if not lines[span[0] - 1].startswith("#")]
    return next(iter([*written, *spans]), (headers[0], headers[0]))


def set_key(file: Path, key: str, value: Any) -> bool:
    """Set a key of a profile to a value that is valid for it.

    Returns:
        Whether the file changed.

    Raises:
        BadFile, BadFile[bad-setting]: the file is not valid.
        UsageError[comments-in-value]: there are comments between the lines of the value.
        UsageError[unusual-toml]: the table of the key is written in a form that is not supported.
        NoPrivilege, MachineError[disk-full], ReadOnly: it cannot be written.
    """
    with fs.locked(file.with_name(f".{file.name}.lock")):
        schema.load(file, schema.PROFILE)
        text = file.read_text(encoding="utf-8")
        _check_comments(file, text, key)
        changed = set_value(text, key, value)
        if changed != text:
            fs.write(file, changed)
    return changed != text


def change_list(
    file: Path, keys: schema.Schema, key: str, value: str, *, default: Sequence[str] = (), remove: bool = False
) -> bool:
    """Add a string to a list outside of all tables of a file, or remove it. A missing file is created.

    Args:
        default: the list that is in effect if the file has none.

    Returns:
        Whether the file changed.

    Raises:
        BadFile, BadFile[bad-setting]: the file is not valid.
        UsageError[comments-in-value]: there are comments between the lines of the list.
        NoPrivilege, MachineError[disk-full], ReadOnly: it cannot be written.
    """
    fs.ensure(file.parent)
    with fs.locked(file.with_name(f".{file.name}.lock")):
        values = schema.load(file, keys, missing_ok=True).get(key, default)
        if (value in values) != remove:
            return False
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        _check_comments(file, text, key)
        fs.write(file, set_value(text, key, [old for old in values if old != value] if remove else [*values, value]))
    return True


def _check_comments(file: Path, text: str, key: str) -> None:
    """Check that a value has no comments between its lines.

    Raises:
        UsageError[comments-in-value]: it has.
    """
    *tables, name = key.split(".")
    lines = text.split("\n")
    line = schema.line_of(text, tuple(tables), name)
    statement = lines[line - 1 : _find_end(lines, line)] if line else []
    if len(statement) > 1 and any("#" in part for part in statement):
        raise comments_in_value(file, key)


def _find_end(lines: list[str], line: int) -> int:
    """Return the number of the last line of the statement that begins at a line; both count from 1."""
    return next(end for end in range(line, len(lines) + 1) if schema.parse_lines(lines[line - 1 : end]) is not None)
