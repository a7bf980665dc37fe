"""Which repositories Portage syncs, and from where."""

from pathlib import Path
from typing import NamedTuple


class Synced(NamedTuple):
    """A repository as repos.conf has it."""

    name: str
    location: Path
    kind: str
    """rsync, git and so on; empty where it is never synced."""
    uri: str
    auto: bool
    """Whether ``emerge --sync`` without names syncs it."""


def repositories(configroot: Path) -> list[Synced]:
    """All repositories of a configroot that have a name, by name."""
    import portage

    found = portage.config(config_root=str(configroot), target_root="/", env={}).repositories
    return sorted(
        Synced(one.name, Path(one.location), one.sync_type or "", one.sync_uri or "", one.auto_sync in {"yes", "true"})
        for one in found
        if one.name
    )
