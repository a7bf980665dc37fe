# SPDX-License-Identifier: GPL-2.0-or-later
"""A validator for JSON Schema, draft 7, as far as the schemas in tests/data need it."""

import gzip
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"
ANNOTATIONS = {
    "$schema", "$id", "$comment", "title", "description", "examples", "default", "deprecated", "meta:enum",
    "definitions", "format", "additionalItems",
}  # fmt: skip
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


class Invalid(AssertionError):
    """A value does not have the form that a schema requires."""


class Schema:
    """A schema in a directory of compressed schemas that refer to each other."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder = folder
        self._root = json.loads(gzip.decompress((DATA / folder / f"{name}.schema.json.gz").read_bytes()))

    def check(self, value: Any) -> None:
        """Raise Invalid if a value is not valid."""
        self._check(value, self._root, "$")

    def _check(self, value: Any, schema: Any, path: str) -> None:
        if schema is True:
            return
        if schema is False:
            raise Invalid(f"{path}: not allowed")
        if "$ref" in schema:
            self._follow(schema["$ref"], value, path)
            return
        for keyword, wanted in schema.items():
            if keyword not in ANNOTATIONS:
                getattr(self, f"_{keyword}")(value, wanted, path, schema)
        if schema.get("format") == "date-time" and isinstance(value, str):
            datetime.fromisoformat(value)

    def _follow(self, reference: str, value: Any, path: str) -> None:
        file, _, pointer = reference.partition("#")
        target = Schema(self._folder, file.split(".S")[0].removesuffix(".schema.json")) if file else self
        schema = target._root
        for step in pointer.strip("/").split("/") if pointer.strip("/") else ():
            schema = schema[step]
        target._check(value, schema, path)

    def _type(self, value: Any, wanted: Any, path: str, _: Any) -> None:
        if not any(TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted)):
            raise Invalid(f"{path}: {value!r} is not of type {wanted}")

    def _enum(self, value: Any, wanted: Any, path: str, _: Any) -> None:
        if value not in wanted:
            raise Invalid(f"{path}: {value!r} is not one of {wanted}")

    def _const(self, value: Any, wanted: Any, path: str, _: Any) -> None:
        self._enum(value, [wanted], path, _)

    def _pattern(self, value: Any, wanted: str, path: str, _: Any) -> None:
        if isinstance(value, str) and not re.search(wanted, value):
            raise Invalid(f"{path}: {value!r} does not match {wanted}")

    def _required(self, value: Any, wanted: Any, path: str, _: Any) -> None:
        if isinstance(value, dict) and (missing := set(wanted) - value.keys()):
            raise Invalid(f"{path}: {missing} is missing")

    def _properties(self, value: Any, wanted: Any, path: str, _: Any) -> None:
        for name, schema in wanted.items() if isinstance(value, dict) else ():
            if name in value:
                self._check(value[name], schema, f"{path}.{name}")

    def _additionalProperties(self, value: Any, wanted: Any, path: str, schema: Any) -> None:  # noqa: N802
        for name in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
            self._check(value[name], wanted, f"{path}.{name}")

    def _items(self, value: Any, wanted: Any, path: str, _: Any) -> None:
        if isinstance(value, list):
            schemas = wanted if isinstance(wanted, list) else [wanted] * len(value)
            for index, (item, schema) in enumerate(zip(value, schemas, strict=False)):
                self._check(item, schema, f"{path}[{index}]")

    def _uniqueItems(self, value: Any, wanted: bool, path: str, _: Any) -> None:  # noqa: N802
        texts = [json.dumps(item, sort_keys=True) for item in value] if isinstance(value, list) else []
        if wanted and len(set(texts)) < len(texts):
            raise Invalid(f"{path}: items are not unique")

    def _oneOf(self, value: Any, wanted: Any, path: str, _: Any) -> None:  # noqa: N802
        if (count := sum(self._accepts(value, schema, path) for schema in wanted)) != 1:
            raise Invalid(f"{path}: valid for {count} of {len(wanted)} alternatives, not for one")

    def _anyOf(self, value: Any, wanted: Any, path: str, _: Any) -> None:  # noqa: N802
        if not any(self._accepts(value, schema, path) for schema in wanted):
            raise Invalid(f"{path}: valid for no alternative")

    def _accepts(self, value: Any, schema: Any, path: str) -> bool:
        try:
            self._check(value, schema, path)
        except Invalid:
            return False
        return True

    def _minimum(self, value: Any, wanted: float, path: str, _: Any) -> None:
        if TYPES["number"](value) and value < wanted:
            raise Invalid(f"{path}: {value} is less than {wanted}")

    def _maximum(self, value: Any, wanted: float, path: str, _: Any) -> None:
        if TYPES["number"](value) and value > wanted:
            raise Invalid(f"{path}: {value} is greater than {wanted}")

    def _minLength(self, value: Any, wanted: int, path: str, _: Any) -> None:  # noqa: N802
        if isinstance(value, str) and len(value) < wanted:
            raise Invalid(f"{path}: {value!r} is shorter than {wanted}")

    def _maxLength(self, value: Any, wanted: int, path: str, _: Any) -> None:  # noqa: N802
        if isinstance(value, str) and len(value) > wanted:
            raise Invalid(f"{path}: {value!r} is longer than {wanted}")

    def _minItems(self, value: Any, wanted: int, path: str, _: Any) -> None:  # noqa: N802
        if isinstance(value, list) and len(value) < wanted:
            raise Invalid(f"{path}: fewer than {wanted} items")

    def _maxItems(self, value: Any, wanted: int, path: str, _: Any) -> None:  # noqa: N802
        if isinstance(value, list) and len(value) > wanted:
            raise Invalid(f"{path}: more than {wanted} items")
