# SPDX-License-Identifier: GPL-2.0-or-later
"""Record of a thawed profile, which maps the names of its layers to their frozen names."""

import json
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import stored
from gentoomuch_portage.config.settings import Settings

HOST = "etc-portage"
"""Name of the layer made from the frozen host's own etc/portage."""
CPU = "the-frozen-cpu"
"""Name of the layer with the flags that ``cpu = "native"`` resolved to."""
HERE = "this-machine"
"""Name of the layer that thawing adds: locations of repositories, packages and sources on this machine."""


class Record(NamedTuple):
    """A thawed profile."""

    profile: str
    """Name of the frozen profile."""
    digest: str
    """Digest of the manifest."""
    key: str
    """Fingerprint of the signing key; empty if it was unsigned."""
    folders: tuple[str, ...]
    """Directories made below the configuration directory: ``layers/NAME-common``."""

    def frozen_name(self, name: str, own: str) -> str:
        """Return the frozen name of a layer or patch set; the name itself if it was added since.

        Args:
            own: name of the profile here.
        """
        known = any(name == folder.partition("/")[2] for folder in self.folders)
        return name.removeprefix(f"{own}-") if known else name


def record_path(settings: Settings, profile: str) -> Path:
    """Return the path of the record."""
    return settings.state / profile / "thawed.json"


def read_record(settings: Settings, profile: str) -> Record | None:
    """Read the record of a profile; None if it was not thawed.

    Raises:
        BadFile: it is not a record.
    """
    file = record_path(settings, profile)
    return stored.load(file, _parse, "the record of a thawed profile", hint=stored.removal_command(file))


def _parse(text: str) -> Record:
    """Parse a record as ``format_record`` writes it.

    Raises:
        ValueError, TypeError, KeyError: it is not a record.
    """
    fields = json.loads(text)
    record = Record(**{**fields, "folders": tuple(fields["folders"])})
    if not all(isinstance(value, str) for value in (*record[:3], *record.folders)):
        raise TypeError("not a record")
    return record


def format_record(record: Record) -> str:
    """Format a record."""
    return json.dumps(record._asdict(), indent=1, sort_keys=True) + "\n"
