"""``gentoomuch init``: a configuration with one profile that equals the host, each line explained."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from gentoomuch_portage.portage_adapter import config
from gentoomuch_portage.portage_adapter.config import HostConfig

DEFAULTS = """\
# What holds for every profile that does not say otherwise; every key of a profile may stand here.
# gentoomuch profile show NAME says which value is in force, and where it comes from.
"""


def host_name() -> str:
    """A name for the profile of this machine: its host name without a domain, as far as a file may be called so."""
    name = re.sub(r"[^A-Za-z0-9_+.-]", "-", socket.gethostname().partition(".")[0]).lstrip("+.-")
    return name or "host"


def profile_text(name: str, etc: Path) -> str:
    """The TOML of a profile that equals the host.

    Args:
        etc: the host's etc/portage.

    Raises:
        BadFile: Portage cannot read it.
    """
    return "\n".join(_lines(name, etc, config.read_host_config(etc.parent.parent))) + "\n"


def _lines(name: str, etc: Path, host: HostConfig) -> Iterator[str]:
    yield f"# This machine. gm-emerge --gm-profile={name} does what emerge does here; change a line, and it does more."
    yield ""
    yield f"# All of {etc} is taken as it is, and what you change there holds here at once."
    yield 'base = "host"'
    yield f"# make_profile is left out: that of the host, {host.make_profile or 'which has none'}"
    yield from _cpu(host)
    yield '# Where packages go: "/" is this machine. Another folder is a machine of its own.'
    yield 'root = "/"'
    yield '# Builds run as emerge runs them. "auto" takes the best container that works here: gentoomuch doctor'
    yield 'isolation = "none"'
    yield f"# Words put before yours. EMERGE_DEFAULT_OPTS of the host holds as well{_told(host.options)}."
    yield "emerge = []"
    yield from _unmask(host)
    yield from _binpkg(host)


def _told(options: frozenset[str]) -> str:
    return f": {' '.join(sorted(options))}" if options else ""


def _cpu(host: HostConfig) -> Iterator[str]:
    march = next((word for word in reversed(host.cflags.split()) if word.startswith("-march=")), "")
    yield f"# cpu is left out: CFLAGS of the host say {march or 'no -march'}. A name is added behind them, and to"
    yield '# those of C++, Fortran, Rust and Go: cpu = "native", "x86-64-v3", "znver3"; gentoomuch isa show tells.'


def _unmask(host: HostConfig) -> Iterator[str]:
    testing = " (all of ~arch is accepted already)" if "~" in host.keywords else ""
    yield ""
    yield "# What may be unmasked for a package that needs it. emerge does none of that by itself, so all is off."
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
    yield f"# Binary packages lie in {host.pkgdir}, for all profiles."
    for name, uri in host.binhosts:
        yield f"# binhost {name}: {uri}"
    yield "[binpkg]"
    yield f"build = false        # {_made(build)}; true adds buildpkg and binpkg-multi-instance"
    yield f"use = false          # the host's options {'use them' if use else 'use none'}; true adds --usepkg"
    yield f"remote = false       # the host's options {'fetch them' if remote else 'fetch none'}; true adds --getbinpkg"
    yield "# Whatever is used, none is taken whose code this CPU cannot run."
    yield '# One that does not tell its flags: emerge takes it. "reject" is safer where a store serves several CPUs.'
    yield 'unknown = "accept"'


def _made(build: bool) -> str:
    return "FEATURES or the options of the host make them" if build else "the host makes none"
