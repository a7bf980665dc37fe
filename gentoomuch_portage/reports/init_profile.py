# SPDX-License-Identifier: GPL-2.0-or-later
"""A commented configuration with one profile that equals the host."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.portage_adapter import host_config
from gentoomuch_portage.portage_adapter.host_config import HostConfig

DEFAULTS = """\
# Defaults for all profiles; any key of a profile is valid here.
# gentoomuch profile show NAME prints each value with its origin.
"""


def default_name() -> str:
    """Return a name for the profile of this machine: the host name without domain and invalid characters."""
    name = re.sub(r"[^A-Za-z0-9_+.-]", "-", socket.gethostname().partition(".")[0]).lstrip("+.-")
    return name or "host"


def format_profile(name: str, etc: Path) -> str:
    """Format the TOML file of a profile that equals the host.

    Args:
        etc: the host's etc/portage.

    Raises:
        BadFile: Portage cannot read it.
    """
    return "\n".join(_lines(name, etc, host_config.read_host_config(etc.parent.parent))) + "\n"


def _lines(name: str, etc: Path, host: HostConfig) -> Iterator[str]:
    yield f"# This machine. gm-emerge --gm-profile={name} does the same as emerge until you change a line."
    yield ""
    yield f"# All of {etc} applies, and later changes of it as well."
    yield 'base = "host"'
    yield f"# make_profile (default: that of the host, {host.make_profile or 'which has none'})"
    yield from _cpu(host)
    yield '# Where packages are merged: "/" is this machine. Another directory is a separate root.'
    yield 'root = "/"'
    yield '# Builds run on the host. "auto" uses the best available container type: gentoomuch doctor'
    yield 'isolation = "none"'
    defaults = f": {' '.join(sorted(host.options))}" if host.options else ""
    yield f"# Options inserted before yours. EMERGE_DEFAULT_OPTS of the host applies as well{defaults}."
    yield "emerge = []"
    yield from _unmask(host)
    yield from _binpkg(host)


def _cpu(host: HostConfig) -> Iterator[str]:
    march = next((word for word in reversed(host.cflags.split()) if word.startswith("-march=")), "")
    yield f"# cpu (default: CFLAGS of the host have {march or 'no -march'}). A name is appended to them, and to"
    yield '# those of C++, Fortran, Rust and Go: cpu = "native", "x86-64-v3", "znver3"; see gentoomuch isa show.'


def _unmask(host: HostConfig) -> Iterator[str]:
    testing = " (all of ~arch is accepted already)" if "~" in host.keywords else ""
    yield ""
    yield "# What may be unmasked for a package that needs it. emerge unmasks nothing, so all is off."
    yield "[unmask]"
    yield f"keywords = false    # ~arch{testing}"
    yield "live = false        # ** and 9999"
    yield "use = false"
    yield "license = false"
    yield "mask = false        # package.mask"


def _binpkg(host: HostConfig) -> Iterator[str]:
    build = "buildpkg" in host.features or "--buildpkg" in host.options
    remote = bool({"--getbinpkg", "--getbinpkgonly"} & host.options) or "getbinpkg" in host.features
    use = remote or bool({"--usepkg", "--usepkgonly"} & host.options)
    yield ""
    yield f"# Binary packages are stored in {host.pkgdir}, for all profiles."
    for name, uri in host.binhosts:
        yield f"# binhost {name}: {uri}"
    yield "[binpkg]"
    yield f"build = false        # {_made(build)}; true adds buildpkg and binpkg-multi-instance"
    yield f"use = false          # the host's options {'use binary packages' if use else 'do not'}; true adds --usepkg"
    yield f"remote = false       # the host's options {'fetch them' if remote else 'do not'}; true adds --getbinpkg"
    yield "# Binary packages that this CPU cannot run are always rejected."
    yield '# Packages without recorded flags: emerge uses them. "reject" is safer if PKGDIR serves several CPUs.'
    yield 'unknown = "accept"'


def _made(build: bool) -> str:
    return "FEATURES or options of the host create them" if build else "the host creates none"
