# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of a composed configroot that a container needs, cached: Portage takes 0.1 s to load one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gentoomuch_portage.configroot.layers import signature
from gentoomuch_portage.fs import Cache
from gentoomuch_portage.portage_adapter import config, private_api

_NAMES = ("PORTAGE_TMPDIR", "PKGDIR", "DISTDIR", "PORTAGE_LOGDIR")
_OF_REPOSITORY = ("metadata/layout.conf", "profiles/repo_name")
"""Files that Portage requires in a repository."""


class Configuration(NamedTuple):
    """Portage's configuration of a configroot."""

    values: Mapping[str, str]
    names: frozenset[str]
    """All variables that it sets, and those that Portage reads from its environment."""
    repositories: tuple[str, ...]
    """Their directories, the main one first."""


def load(configroot: Path, profile: str, cache: Path) -> Configuration:
    """Load a configroot with Portage, unless the files that Portage read are unchanged.

    Args:
        configroot: a composed one, which does not change.
        cache: the directory of all containers.

    Raises:
        BadFile: Portage cannot read it.
    """
    results = Cache(cache, mode=0o600)
    key, stamp = f"configuration-{profile}", _stamp(configroot)
    if (cached := results.load(key, _parse, stamp)) is not None:
        return cached
    loaded = config.load(configroot)
    repositories = tuple(str(path) for path in config.repositories(configroot).values())
    read = {str(path): signature(path) for path in (*loaded.read, *_files_of(repositories, loaded.read))}
    configuration = Configuration({name: loaded.values[name] for name in _NAMES}, loaded.names, repositories)
    results.store(key, {**configuration._asdict(), "names": sorted(loaded.names), "read": read}, stamp)
    return configuration


def _parse(value: Mapping[str, Any]) -> Configuration | None:
    """Return a cached configuration if the files that Portage read are unchanged."""
    if not all(signature(Path(path)) == known for path, known in value["read"].items()):
        return None
    return Configuration(value["values"], frozenset(value["names"]), tuple(value["repositories"]))


def _stamp(configroot: Path) -> list[str]:
    return [str(configroot), signature(configroot / "etc/portage/make.conf"), private_api.version()]


def _files_of(repositories: tuple[str, ...], read: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files that define repositories, except for the configroot."""
    for path in repositories:
        yield from (Path(path, name) for name in _OF_REPOSITORY)
    yield from (path.with_name("repos.conf") for path in read if path.name == "make.globals")
