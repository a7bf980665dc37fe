# SPDX-License-Identifier: GPL-2.0-or-later
"""List the make_profiles of the configured repositories, with pkgcore or with Portage."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter import config as portage_config
from gentoomuch_portage.portage_adapter.pkgcore_modules import import_pkgcore

try:
    RepoConfig = import_pkgcore("ebuild.repo_objs").RepoConfig
except ImportError as error:
    RepoConfig, _WHY = None, str(error)
else:
    _WHY = "it can be imported"


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """A line of a repository's profiles.desc."""

    repository: str
    arch: str
    path: str
    """The value of ``make_profile`` after ``REPOSITORY:``."""
    status: str
    """``stable``, ``dev`` or ``exp``."""
    deprecated: bool
    """Whether its directory has a file ``deprecated``."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The program that reads the make_profiles."""

    name: str
    """``pkgcore`` or ``Portage``."""
    why: str
    config: Any = None
    """pkgcore's class for a repository; None with Portage."""


def reader() -> Reader:
    """Choose the reader: pkgcore, unless it cannot be imported."""
    return Reader("pkgcore" if RepoConfig else "Portage", _WHY, RepoConfig)


def offers(configroot: Path, by: Reader) -> list[Offer]:
    """Return the make_profiles, sorted within each repository; the main repository is first.

    Args:
        configroot: a value of PORTAGE_CONFIGROOT.

    Raises:
        BadFile: repos.conf cannot be read.
    """
    profiles = []
    for name, place in portage_config.repositories(configroot).items():
        profiles += sorted(_by_pkgcore(by.config, name, place) if by.config else _by_portage(name, place))
    return profiles


def _by_pkgcore(config: Any, name: str, place: Path) -> Iterator[Offer]:
    for profile in config(str(place)).profiles:
        yield Offer(name, profile.arch, profile.path, profile.status, bool(profile.deprecated))


def _by_portage(name: str, place: Path) -> Iterator[Offer]:
    for arch, path, status in portage_config.make_profiles(place):
        deprecated = (place / "profiles" / path / "deprecated").exists()
        yield Offer(name, arch, path, status, deprecated)
