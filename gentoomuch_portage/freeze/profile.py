"""A profile's TOML as an archive holds it: complete, in one order, and by the names of its layers there."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage.config import schema
from gentoomuch_portage.config.profile import Profile, valid
from gentoomuch_portage.errors import ConfigError
from gentoomuch_portage.freeze.errors import BadArchive
from gentoomuch_portage.freeze.thaw_record import CPU, HERE, HOST, Record


def layers(profile: Profile, record: Record | None) -> dict[str, str]:
    """Name in the archive -> name here, in order; ``HOST`` and ``CPU`` where they are no layers here."""
    found = {HOST: ""} if profile.base == "host" else {}
    found |= _plain(profile.layers, profile.name, record)
    return found | ({CPU: ""} if profile.cpu == "native" else {})


def patches(profile: Profile, record: Record | None) -> dict[str, str]:
    """The same of patch sets."""
    return _plain(profile.patches, profile.name, record)


def _plain(names: tuple[str, ...], own: str, record: Record | None) -> dict[str, str]:
    found = {record.plain(one, own) if record else one: one for one in names}
    return {name: one for name, one in found.items() if not (record and name == HERE)}


def text(profile: Profile, record: Record | None, make_profile: str) -> str:
    """A profile that depends on neither ``gentoomuch.toml`` nor the host.

    Args:
        make_profile: ``repo:path``; empty for none.
    """
    said = {key: _value(getattr(profile, key)) for key in schema.PROFILE}
    said |= {"make_profile": make_profile, "base": "none"}
    said |= {"layers": list(layers(profile, record)), "patches": list(patches(profile, record))}
    said["cpu"] = "" if profile.cpu == "native" else profile.cpu
    return toml(said)


def _value(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def toml(said: Mapping[str, Any]) -> str:
    """Keys, then tables. What is empty is said, too, or ``gentoomuch.toml`` of another machine would have its say."""
    lines = [f"{key} = {_told(value)}" for key, value in said.items() if not isinstance(value, dict)]
    for name, table in said.items():
        if isinstance(table, dict) and table:
            lines += ["", f"[{name}]", *(f"{key} = {_told(table[key])}" for key in sorted(table))]
    return "\n".join(lines) + "\n"


def _told(value: Any) -> str:
    """A value as TOML has it, which of strings, booleans, numbers and lists is as JSON has it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def thawed(content: bytes, name: str, own: str) -> str:
    """The TOML of a profile that is installed under a name: its layers are those that come with it, and this machine's.

    Args:
        name: of the archive, for messages.
        own: the name.

    Raises:
        BadArchive: it is no profile.
    """
    try:
        said = tomllib.loads(content.decode())
        schema.check(Path("profile.toml"), content.decode(), said, schema.PROFILE)
        if not said.get("root", "/").startswith("/") or ".." in said.get("root", "/").split("/"):
            raise ValueError(f"root = {said['root']!r}")
        for one in (*said.get("layers", ()), *said.get("patches", ())):
            valid(one, "layer or patch set")
    except (ValueError, RecursionError, ConfigError) as error:
        raise BadArchive(name, f"its profile is none: {error}") from error
    said["layers"] = [*(f"{own}-{one}" for one in said.get("layers", ())), f"{own}-{HERE}"]
    said["patches"] = [f"{own}-{one}" for one in said.get("patches", ())]
    return toml(said)
