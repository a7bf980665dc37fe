# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors about .gentoo directories."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import MachineError, UsageError, correct_path, existing_path, listed


def no_folder(path: Path) -> UsageError:
    """The current directory and the directories above it have no .gentoo directory."""
    hint = init_command(path) if path.is_dir() else f"ls -l {shlex.quote(str(existing_path(path)))}"
    error = UsageError(f"no .gentoo directory in {path}", code="no-dotgentoo", hint=hint)
    correct_path(error, str(path))
    return error


def init_command(path: Path) -> str:
    """Return the command that creates the .gentoo directory of a project."""
    name = re.sub(r"[^a-z0-9_+]+", "-", path.absolute().name.lower()).strip("-") or "hello"
    return shlex.join(("gentoomuch", "dotgentoo", "init", f"app-misc/{name}", str(path)))


class Untrusted(UsageError):
    """The user has not confirmed that code of a .gentoo directory may run."""

    code = "untrusted"
    status = 77

    def __init__(self, path: Path, identity: str, security: Iterable[str] = ()) -> None:
        security = tuple(security)
        suffix = f", or to lift security masks of {', '.join(security)}" if security else ""
        super().__init__(
            f"{path} is not trusted to run code on this machine{suffix}",
            hint=f"review it, then: --gm-trust={identity}{':security' if security else ''}",
        )
        self.path, self.identity = path, identity


def overlay_unreachable(name: str, uri: str, why: str) -> MachineError:
    """A repository that a .gentoo directory needs cannot be fetched."""
    return MachineError(
        f"cannot fetch overlay {name} from {uri}: {why}",
        code="overlay-unreachable",
        hint="check the address and the network, or add a repository with that name to the host",
    )


def same_package(cp: str, first: Path, second: Path) -> UsageError:
    """Two .gentoo directories of a run contain the same package."""
    return UsageError(
        f"{first} and {second} both install {cp}", code="same-package", hint="run gm-emerge once for each"
    )


def unknown_build_system(project: Path, known: Iterable[str]) -> UsageError:
    """``dotgentoo init`` does not support the build system of the project."""
    return UsageError(
        f"cannot detect the build system of {project} {listed(known)}",
        code="unknown-build",
        hint="write the ebuild yourself: docs/dotgentoo.md",
    )


def folder_exists(path: Path) -> UsageError:
    """The project already has a .gentoo directory."""
    return UsageError(f"{path} already exists", code="dotgentoo-exists", hint=f"gentoomuch dotgentoo check {path}")


def bad_package(name: str) -> UsageError:
    """The name for a new ebuild in .gentoo is not CATEGORY/PACKAGE."""
    error = UsageError(
        f"invalid name {name!r}: CATEGORY/PACKAGE is required",
        code="bad-package",
        hint="gentoomuch dotgentoo init app-misc/hello",
    )
    plain = re.sub(r"[^A-Za-z0-9_+]+", "-", name.rpartition("/")[2]).strip("-")
    return error.with_correction(name, f"app-misc/{plain}") if plain else error
