# SPDX-License-Identifier: GPL-2.0-or-later
"""A Gentoo host in a directory: its paths, the environment of its programs, and the programs that Portage needs."""

import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage.demo_host.errors import unknown_arch
from gentoomuch_portage.errors import MissingProgram
from gentoomuch_portage.process import find_program, run

ARCHES: Mapping[str, tuple[str, str, str]] = {
    "x86_64": ("amd64", "x86_64-pc-linux-gnu", "lib64"),
    "aarch64": ("arm64", "aarch64-unknown-linux-gnu", "lib64"),
    "ppc64le": ("ppc64", "powerpc64le-unknown-linux-gnu", "lib64"),
    "riscv64": ("riscv", "riscv64-unknown-linux-gnu", "lib64"),
}
"""uname's machine -> Gentoo's ARCH, CHOST and library directory."""
_PASSED = ("HOME", "TERM", "LANG", "USER", "LOGNAME", "NO_COLOR")
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Host:
    """A Gentoo host in a directory."""

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
        """The configuration of gentoomuch on it."""
        return self.eprefix / "etc/gentoomuch"

    @property
    def repository(self) -> Path:
        """Its one ebuild repository."""
        return self.folder / "repository"

    @property
    def bin(self) -> Path:
        """Programs with the names that Portage uses; first in PATH."""
        return self.eprefix / "libexec"

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
        """The database of installed packages."""
        return self.eprefix / "var/db/pkg"

    @property
    def made(self) -> Path:
        """The file with the versions that the host was created from; empty until it is complete."""
        return self.folder / "made"

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment of programs on this host.

        HOME, TERM and LANG are passed on, GM_* and Portage's own variables are not.
        """
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        lang = passed.get("LANG", "")
        return {**passed, "LANG": lang if "UTF-8" in lang else "C.UTF-8", **self._own(), **more}

    def enter(self) -> str:
        """Return a file for a POSIX shell: a shell that reads it becomes a shell on this host."""
        lines = [
            "# A POSIX shell that reads this file becomes a shell on the Gentoo host in this directory.",
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
        """Return the directory of a ROOT's packages: Portage adds the prefix to it."""
        return Path(f"{str(root).rstrip('/')}{self.eprefix}")

    def _own(self) -> dict[str, str]:
        path = [str(self.bin), str(Path(sys.executable).parent), *_SYSTEM_PATH]
        # Without it Portage starts its helpers with the interpreter outside of the virtual environment.
        virtual = {"VIRTUAL_ENV": sys.prefix} if sys.prefix != sys.base_prefix else {}
        return {
            **virtual,
            "PATH": ":".join(path),
            "PORTAGE_OVERRIDE_EPREFIX": str(self.eprefix),
            "PORTAGE_CONFIGROOT": str(self.eprefix),
            "PORTAGE_RUN_PATH": str(self.folder / "run"),
        }


def find_arch() -> tuple[str, str, str]:
    """Return Gentoo's ARCH, CHOST and library directory of this machine.

    Raises:
        MachineError[unknown-arch]: the machine is not in ``ARCHES``.
    """
    machine = platform.machine()
    if machine not in ARCHES:
        raise unknown_arch(machine, ARCHES)
    return ARCHES[machine]


def write(path: Path, text: str) -> Path:
    """Write a file, and create the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class Need(NamedTuple):
    """A required program, and the packages that have it."""

    names: tuple[str, ...]
    """Alternative names."""
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
"""Determined by builds and merges of Portage without each of them."""
_TOOLCHAIN: Mapping[str, tuple[str, ...]] = {
    "gcc": ("gcc", "cc", "clang"),
    "g++": ("g++", "c++", "clang++"),
    "ar": ("ar", "llvm-ar"),
    "ranlib": ("ranlib", "llvm-ranlib"),
    "strip": ("strip", "llvm-strip"),
    "objcopy": ("objcopy", "llvm-objcopy"),
}
"""The last part of ``CHOST-NAME`` -> alternatives."""


def check() -> None:
    """Check that all of ``NEEDS`` are installed.

    Raises:
        MissingProgram: one of them is missing, or tar is not GNU's.
    """
    for need in NEEDS:
        program = _find_first(need.names)
        if program is None or (
            need.debian == "tar" and "GNU tar" not in run([str(program), "--version"], keep=True).out
        ):
            name = "GNU tar" if need.debian == "tar" else need.names[0]
            raise MissingProgram(
                name,
                hint=f"emerge {need.gentoo} (Gentoo), apt-get install {need.debian} (Debian), "
                f"dnf install {need.fedora} (Fedora)",
            )


def write_programs(host: Host) -> None:
    """Write a script for each program into the host's ``bin``.

    Links would not work: ccache, and Python in a virtual environment, depend on the path that they are called by.
    """
    host.bin.mkdir(parents=True, exist_ok=True)
    for name, program in find_programs():
        script = host.bin / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n', encoding="utf-8")
        script.chmod(0o755)


def compression() -> str:
    """Return a compression for binary packages that is available here; Portage's default is zstd."""
    return "zstd" if find_program("zstd") else "bzip2"


def find_programs() -> Iterator[tuple[str, Path]]:
    """Yield each name, and its program."""
    chost = find_arch()[1]
    yield "python", Path(sys.executable)
    # Portage calls GNU tar by this name; most distributions name it tar.
    if tar := _find_first(("gtar", "tar")):
        yield "gtar", tar
    for name, alternatives in _TOOLCHAIN.items():
        if program := _find_first(alternatives):
            yield f"{chost}-{name}", program


def _find_first(names: tuple[str, ...]) -> Path | None:
    return next(filter(None, map(find_program, names)), None)
