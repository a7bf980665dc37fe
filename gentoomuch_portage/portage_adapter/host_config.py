# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the values of a host that a new profile starts from."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from _emerge.main import parse_opts

from gentoomuch_portage.portage_adapter.config import load_binhosts, read_config


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """The values of a configroot that Portage has loaded."""

    cflags: str
    chost: str
    keywords: str
    """ACCEPT_KEYWORDS, including those of the make_profile."""
    pkgdir: str
    features: frozenset[str]
    options: frozenset[str]
    """The options in EMERGE_DEFAULT_OPTS, by their long names."""
    make_profile: Path | None
    """The directory that make.profile leads to; None if it is missing."""
    binhosts: tuple[tuple[str, str], ...]
    """Name and URL of each."""


def read_host_config(configroot: Path) -> HostConfig:
    """Load a configroot with Portage, without the environment.

    Raises:
        BadFile: Portage cannot read it.
    """
    config, _ = read_config(configroot)
    return HostConfig(
        cflags=config.get("CFLAGS", ""),
        chost=config.get("CHOST", ""),
        keywords=config.get("ACCEPT_KEYWORDS", ""),
        pkgdir=config.get("PKGDIR", ""),
        features=frozenset(config.features),
        options=_options(config.get("EMERGE_DEFAULT_OPTS", "")),
        make_profile=Path(config.profile_path).resolve() if config.profile_path and config.profiles else None,
        binhosts=tuple(sorted(load_binhosts(configroot / "etc/portage").urls.items())),
    )


def _options(words: str) -> frozenset[str]:
    try:
        return frozenset(parse_opts(shlex.split(words), silent=True)[1])
    except (SystemExit, ValueError):
        return frozenset()  # emerge itself reports the error
