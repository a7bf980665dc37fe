"""Where each value of a profile comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config import schema as config_schema
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Value:
    """A key of a profile, as it is in force."""

    key: str
    """``cpu``, or ``binpkg.build`` for one of a table."""
    value: object
    """A string, a boolean, or a list of strings, as TOML has them."""
    where: str
    """``FILE:LINE``, or ``default``."""


def values(settings: Settings, name: str) -> list[Value]:
    """Every value of a profile, in the order of the reference.

    Raises:
        GmError: the profile cannot be read.
    """
    profile = config_profile.read(settings, name)
    said = [
        (file, config_schema.load(file, schema, missing_ok=True))
        for file, schema in (
            (profile.file, config_schema.PROFILE),
            (settings.config / "gentoomuch.toml", config_schema.DEFAULTS),
        )
    ]
    return [
        Value(".".join(path), value, next((_at(file, path) for file, told in said if _tells(told, path)), "default"))
        for path, value in _effective(profile)
    ]


def _effective(profile: Profile) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, shape in config_schema.PROFILE.items():
        value = getattr(profile, key)
        if isinstance(shape, Mapping):
            yield from (((key, inner), value[inner]) for inner in shape)
        else:
            yield (key,), _plain(value)


def _plain(value: Any) -> object:
    return list(value) if isinstance(value, tuple) else str(value)


def _tells(said: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(said, Mapping) or key not in said:
            return False
        said = said[key]
    return True


def _at(file: Path, path: tuple[str, ...]) -> str:
    return f"{file}:{config_schema.line_of(file.read_text(encoding='utf-8'), path[:-1], path[-1])}"
