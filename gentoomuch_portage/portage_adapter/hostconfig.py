"""What the host's own configuration says, in plain data: for who writes a profile that equals it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from gentoomuch_portage.portage_adapter import binhosts, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """A configroot, read by Portage."""

    cflags: str
    chost: str
    keywords: str
    """ACCEPT_KEYWORDS, the make_profile's included."""
    pkgdir: str
    features: frozenset[str]
    options: frozenset[str]
    """Of EMERGE_DEFAULT_OPTS, by their long names."""
    make_profile: Path | None
    """The directory that make.profile means; None where there is none."""
    binhosts: tuple[tuple[str, str], ...]
    """Name and URL."""


def read(configroot: Path) -> HostConfig:
    """Let Portage read a configroot, with nothing of the environment.

    Raises:
        BadFile: Portage cannot read it.
    """
    found, _ = whole.read(configroot)
    return HostConfig(
        cflags=found.get("CFLAGS", ""),
        chost=found.get("CHOST", ""),
        keywords=found.get("ACCEPT_KEYWORDS", ""),
        pkgdir=found.get("PKGDIR", ""),
        features=frozenset(found.features),
        options=_options(found.get("EMERGE_DEFAULT_OPTS", "")),
        make_profile=Path(found.profile_path).resolve() if found.profile_path and found.profiles else None,
        binhosts=tuple(sorted(binhosts.known(configroot / "etc/portage").urls.items())),
    )


def _options(words: str) -> frozenset[str]:
    from _emerge.main import parse_opts

    try:
        return frozenset(parse_opts(shlex.split(words), silent=True)[1])
    except (SystemExit, ValueError):
        return frozenset()  # emerge itself will say what is wrong with them
