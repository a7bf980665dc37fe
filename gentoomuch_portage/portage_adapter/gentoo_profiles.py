"""The make_profiles that the configured repositories offer: by pkgcore, otherwise by Portage."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentoomuch_portage.portage_adapter import config as portage_config


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """A line of a repository's profiles.desc."""

    repository: str
    arch: str
    path: str
    """As ``make_profile`` takes it, behind ``REPOSITORY:``."""
    status: str
    """``stable``, ``dev`` or ``exp``."""
    deprecated: bool
    """Whether a file beside it says that another one takes its place."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads them."""

    name: str
    """``pkgcore`` or ``Portage``."""
    why: str
    config: Any = None
    """pkgcore's class for a repository; None with Portage."""


def reader() -> Reader:
    """Choose who reads them.

    pkgcore ends its whole process where bash is older than the newest EAPI asks for. Source: pkgcore.ebuild.eapi.
    """
    try:
        from pkgcore.ebuild.repo_objs import RepoConfig
    except SystemExit as error:
        told = " ".join(str(error.code).split())
        return Reader("Portage", f"pkgcore refuses to start: {told}")
    except ImportError as error:
        return Reader("Portage", f"pkgcore cannot be imported: {error}")
    return Reader("pkgcore", "it can be imported", RepoConfig)


def offers(configroot: Path, by: Reader) -> list[Offer]:
    """What is on offer, sorted within each repository, the main one first.

    Args:
        configroot: as PORTAGE_CONFIGROOT means it.

    Raises:
        BadFile: repos.conf cannot be read.
    """
    found = []
    for name, place in portage_config.repositories(configroot).items():
        found += sorted(_by_pkgcore(by.config, name, place) if by.config else _by_portage(name, place))
    return found


def _by_pkgcore(config: Any, name: str, place: Path) -> Iterator[Offer]:
    for one in config(str(place)).profiles:
        yield Offer(name, one.arch, one.path, one.status, bool(one.deprecated))


def _by_portage(name: str, place: Path) -> Iterator[Offer]:
    for arch, path, status in portage_config.make_profiles(place):
        deprecated = (place / "profiles" / path / "deprecated").exists()
        yield Offer(name, arch, path, status, deprecated)
