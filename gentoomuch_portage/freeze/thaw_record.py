"""What is remembered of a profile that was thawed, so that its layers are known by the names they were frozen by."""

import json
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import BadFile

HOST = "etc-portage"
"""The layer that the frozen host's own etc/portage becomes."""
CPU = "the-frozen-cpu"
"""The layer with the flags that ``cpu = "native"`` meant."""
HERE = "this-machine"
"""The layer that thawing adds: where repositories, packages and sources lie here."""


class Record(NamedTuple):
    """A thawed profile."""

    profile: str
    """The name it was frozen by."""
    digest: str
    """Of the manifest."""
    key: str
    """Fingerprint of who signed it; empty where nobody did."""
    folders: tuple[str, ...]
    """What was made below the configuration directory: ``layers/NAME-common``."""

    def plain(self, name: str, own: str) -> str:
        """The name that a layer or patch set had when it was frozen; itself where it was added since.

        Args:
            own: the profile's name here.
        """
        known = any(name == folder.partition("/")[2] for folder in self.folders)
        return name.removeprefix(f"{own}-") if known else name


def path(settings: Settings, profile: str) -> Path:
    """Where it is kept."""
    return settings.state / profile / "thawed.json"


def read(settings: Settings, profile: str) -> Record | None:
    """What is remembered of a profile; None where it was not thawed.

    Raises:
        BadFile: something else is written there.
    """
    place = path(settings, profile)
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        return Record(**{**told, "folders": tuple(told["folders"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadFile(place, 0, f"this is no record of a thawed profile: {error}", remedy=f"rm {place}") from error


def text(record: Record) -> str:
    """A record as it is written."""
    return json.dumps(record._asdict(), indent=1, sort_keys=True) + "\n"
