# SPDX-License-Identifier: GPL-2.0-or-later
"""Write and read the TOML of a profile in an archive: complete, ordered, with the layer names of the archive."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gentoomuch_portage.config import schema
from gentoomuch_portage.config.profile import Profile, valid
from gentoomuch_portage.errors import ConfigError
from gentoomuch_portage.freeze.errors import BadArchive
from gentoomuch_portage.freeze.thaw_record import CPU, HERE, HOST, Record


def map_layers(profile: Profile, record: Record | None) -> dict[str, str]:
    """Map names in the archive to names here, in order; ``HOST`` and ``CPU`` if they are not layers here."""
    names = {HOST: ""} if profile.base == "host" else {}
    names |= _map_names(profile.layers, profile.name, record)
    return names | ({CPU: ""} if profile.cpu == "native" else {})


def map_patch_sets(profile: Profile, record: Record | None) -> dict[str, str]:
    """Map names of patch sets in the archive to names here."""
    return _map_names(profile.patches, profile.name, record)


def _map_names(names: tuple[str, ...], own: str, record: Record | None) -> dict[str, str]:
    mapping = {record.frozen_name(name, own) if record else name: name for name in names}
    return {frozen: name for frozen, name in mapping.items() if not (record and frozen == HERE)}


def format_profile(profile: Profile, record: Record | None, make_profile: str) -> str:
    """Format a profile that depends on neither ``gentoomuch.toml`` nor the host.

    Args:
        make_profile: ``repo:path``; may be empty.
    """
    values = {**profile.values, "root": str(profile.root)}
    values |= {"make_profile": make_profile, "base": "none"}
    values |= {"layers": list(map_layers(profile, record)), "patches": list(map_patch_sets(profile, record))}
    values["cpu"] = "" if profile.cpu == "native" else profile.cpu
    return format_toml(values)


def format_toml(values: Mapping[str, Any]) -> str:
    """Format keys, then tables. Empty values are written too, so that defaults of another machine do not apply."""
    lines = [f"{key} = {schema.toml_value(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for name, table in values.items():
        if isinstance(table, dict) and table:
            lines += ["", f"[{name}]", *(f"{key} = {schema.toml_value(table[key])}" for key in sorted(table))]
    return "\n".join(lines) + "\n"


def rename_layers(content: bytes, name: str, own: str) -> str:
    """Return the TOML of a thawed profile: its layers get the names that they have on this machine.

    Args:
        name: name of the archive, for messages.
        own: name of the profile here.

    Raises:
        BadArchive: it is not a profile.
    """
    try:
        values = tomllib.loads(content.decode())
        schema.check(Path("profile.toml"), content.decode(), values, schema.PROFILE)
        if not values.get("root", "/").startswith("/") or ".." in values.get("root", "/").split("/"):
            raise ValueError(f"root = {values['root']!r}")
        for part in (*values.get("layers", ()), *values.get("patches", ())):
            valid(part, "layer or patch set")
    except (ValueError, RecursionError, ConfigError) as error:
        raise BadArchive(name, f"its profile is invalid: {error}") from error
    values["layers"] = [*(f"{own}-{layer}" for layer in values.get("layers", ())), f"{own}-{HERE}"]
    values["patches"] = [f"{own}-{patch_set}" for patch_set in values.get("patches", ())]
    return format_toml(values)
