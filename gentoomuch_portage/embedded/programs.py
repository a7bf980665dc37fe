"""The programs that Portage needs on a host in a folder, under the names by which it calls them."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.embedded.host import Host, arch
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.run import run, where


class Need(NamedTuple):
    """A program without which no package can be built, and the packages that have it."""

    names: tuple[str, ...]
    """Any of these will do."""
    gentoo: str
    debian: str
    fedora: str


NEEDS = (
    Need(("gcc", "cc", "clang"), "sys-devel/gcc", "gcc libc6-dev", "gcc"),
    Need(("make",), "dev-build/make", "make", "make"),
    Need(("bash",), "app-shells/bash", "bash", "bash"),
    Need(("gtar", "tar"), "app-arch/tar", "tar", "tar"),
    Need(("patch",), "sys-devel/patch", "patch", "patch"),
    Need(("bzip2",), "app-arch/bzip2", "bzip2", "bzip2"),
    Need(("find",), "sys-apps/findutils", "findutils", "findutils"),
)
"""Found by running Portage's build and merge with each of them away."""
_TOOLCHAIN: Mapping[str, tuple[str, ...]] = {
    "gcc": ("gcc", "cc", "clang"),
    "g++": ("g++", "c++", "clang++"),
    "ar": ("ar", "llvm-ar"),
    "ranlib": ("ranlib", "llvm-ranlib"),
    "strip": ("strip", "llvm-strip"),
    "objcopy": ("objcopy", "llvm-objcopy"),
}
"""The last part of ``CHOST-NAME`` -> who may stand in for it."""


def check() -> None:
    """Look for all of ``NEEDS``.

    Raises:
        MissingProgram: one of them is missing, or tar is not GNU's.
    """
    for need in NEEDS:
        found = _first(need.names)
        if found is None or (need.debian == "tar" and "GNU tar" not in run([str(found), "--version"], keep=True).out):
            name = "GNU tar" if need.debian == "tar" else need.names[0]
            raise MissingProgram(
                name,
                remedy=f"emerge {need.gentoo} (Gentoo), apt-get install {need.debian} (Debian), "
                f"dnf install {need.fedora} (Fedora)",
            )


def lay(host: Host) -> None:
    """Put a script for each name into the host's ``bin``.

    Scripts and no links: a compiler behind ccache, and Python in a virtual environment, act by the name and the
    place that they are called by.
    """
    host.bin.mkdir(exist_ok=True)
    for name, program in behind():
        script = host.bin / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n', encoding="utf-8")
        script.chmod(0o755)


def compression() -> str:
    """What binary packages can be compressed with here; Portage's own choice is zstd."""
    return "zstd" if where("zstd") else "bzip2"


def behind() -> Iterator[tuple[str, Path]]:
    """Each name, and the program that answers to it."""
    chost = arch()[1]
    yield "python", Path(sys.executable)
    # Portage asks for GNU tar by this name; most distributions have it as tar.
    if tar := _first(("gtar", "tar")):
        yield "gtar", tar
    for name, stand_ins in _TOOLCHAIN.items():
        if found := _first(stand_ins):
            yield f"{chost}-{name}", found


def _first(names: tuple[str, ...]) -> Path | None:
    return next(filter(None, map(where, names)), None)
