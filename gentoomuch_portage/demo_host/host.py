"""A Gentoo host in a folder: where its things lie, and the environment of programs that run on it.

The programs that Portage needs on a host in a folder, under the names by which it calls them.
"""

import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.demo_host.errors import UnknownArch
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.process import run, where

ARCHES: Mapping[str, tuple[str, str, str]] = {
    "x86_64": ("amd64", "x86_64-pc-linux-gnu", "lib64"),
    "aarch64": ("arm64", "aarch64-unknown-linux-gnu", "lib64"),
    "ppc64le": ("ppc64", "powerpc64le-unknown-linux-gnu", "lib64"),
    "riscv64": ("riscv", "riscv64-unknown-linux-gnu", "lib64"),
}
"""uname's machine -> Gentoo's ARCH, CHOST and library directory."""
_HANDED_ON = ("HOME", "TERM", "LANG", "USER", "LOGNAME", "NO_COLOR")
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Host:
    """A Gentoo host in a folder."""

    folder: Path

    @property
    def eprefix(self) -> Path:
        """The prefix; Portage's EPREFIX."""
        return self.folder / "gentoo"

    @property
    def etc(self) -> Path:
        """The host's etc/portage."""
        return self.eprefix / "etc/portage"

    @property
    def config(self) -> Path:
        """Where gentoomuch is configured on it."""
        return self.eprefix / "etc/gentoomuch"

    @property
    def repository(self) -> Path:
        """Its one ebuild repository."""
        return self.folder / "repository"

    @property
    def bin(self) -> Path:
        """Programs under the names by which Portage calls them; first in PATH."""
        return self.folder / "bin"

    @property
    def distdir(self) -> Path:
        """DISTDIR."""
        return self.eprefix / "var/cache/distfiles"

    @property
    def pkgdir(self) -> Path:
        """PKGDIR."""
        return self.eprefix / "var/cache/binpkgs"

    @property
    def vdb(self) -> Path:
        """What is installed."""
        return self.eprefix / "var/db/pkg"

    @property
    def made(self) -> Path:
        """Says what the host was made from; empty as long as it is being made."""
        return self.folder / "made"

    def env(self, **more: str) -> dict[str, str]:
        """All of the environment for a program that is to run on this host.

        HOME, TERM and LANG are handed on, GM_* and Portage's own variables are not.
        """
        kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        lang = kept.get("LANG", "")
        return {**kept, "LANG": lang if "UTF-8" in lang else "C.UTF-8", **self._own(), **more}

    def enter(self) -> str:
        """A file for a POSIX shell to read: from then on it is a shell on this host."""
        lines = [
            "# A POSIX shell that reads this file is a shell on the Gentoo host in this folder.",
            "unset ROOT SYSROOT EPREFIX PKGDIR DISTDIR PORTAGE_TMPDIR PORTDIR FEATURES USE CFLAGS CXXFLAGS LDFLAGS",
            "unset GM_PROFILE GM_CONFIG GM_STATE GM_CACHE GM_HOST GM_DEFAULT_OPTS EMERGE_DEFAULT_OPTS",
            *(f"export {name}={shlex.quote(value)}" for name, value in self._own().items()),
            'case ${PS1-} in "" | "(gentoo) "*) ;; *) PS1="(gentoo) $PS1" ;; esac',
        ]
        return "\n".join(lines) + "\n"

    def write(self, name: str, text: str) -> Path:
        """Write a file below etc/portage."""
        return write(self.etc / name, text)

    def profile(self, name: str, text: str, layers: Mapping[str, str] | None = None) -> None:
        """Write a profile, and files of its layers by ``LAYER/FILE``."""
        write(self.config / "profiles" / f"{name}.toml", text)
        for path, content in (layers or {}).items():
            write(self.config / "layers" / path, content)

    def eroot(self, root: Path) -> Path:
        """Where packages of a ROOT lie: Portage puts the prefix below it."""
        return Path(f"{str(root).rstrip('/')}{self.eprefix}")

    def _own(self) -> dict[str, str]:
        path = [str(self.bin), str(Path(sys.executable).parent), *_SYSTEM_PATH]
        # Without it Portage starts its helpers with the interpreter that the virtual environment was made from.
        virtual = {"VIRTUAL_ENV": sys.prefix} if sys.prefix != sys.base_prefix else {}
        return {
            **virtual,
            "PATH": ":".join(path),
            "PORTAGE_OVERRIDE_EPREFIX": str(self.eprefix),
            "PORTAGE_CONFIGROOT": str(self.eprefix),
            "PORTAGE_RUN_PATH": str(self.folder / "run"),
        }


def arch() -> tuple[str, str, str]:
    """Gentoo's ARCH, CHOST and library directory of this machine.

    Raises:
        UnknownArch: the machine is not in ``ARCHES``.
    """
    machine = platform.machine()
    if machine not in ARCHES:
        raise UnknownArch(machine, ARCHES)
    return ARCHES[machine]


def write(path: Path, text: str) -> Path:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


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
