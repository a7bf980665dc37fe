# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of the demo host."""

from collections.abc import Iterable
from pathlib import Path

from gentoomuch_portage.errors import MachineError, RunError, listed


def unknown_arch(machine: str, known: Iterable[str]) -> MachineError:
    """gentoomuch does not support this CPU architecture."""
    return MachineError(f"cannot create a demo host on {machine} {listed(known)}", code="unknown-arch")


def nameless_user(user: int, group: int) -> MachineError:
    """The current user or group has no name in /etc/passwd or /etc/group; Portage needs one."""
    return MachineError(
        f"user {user} or group {group} has no name, which Portage requires",
        code="nameless-user",
        hint="add them to /etc/passwd and /etc/group, or use another user",
    )


def unfit_path(folder: Path, character: str) -> RunError:
    """A path has a character with a special meaning in PATH, make.conf or a Makefile."""
    return RunError(
        f"Portage does not support {character!r} in a path: {folder}", code="unfit-path", hint="use another directory"
    )


def folder_taken(folder: Path) -> RunError:
    """The directory for a new demo host is not empty."""
    return RunError(f"{folder} is not empty", code="folder-taken", hint="choose an empty or new directory")


def host_moved(folder: Path, before: str) -> RunError:
    """The demo host was moved: its installed packages and binary packages contain the old path."""
    return RunError(
        f"{folder} was created as {before} and moved", code="host-moved", hint=f"move it back, or: rm -r '{folder}'"
    )


def wrong_program(program: Path, cpu: str, output: str) -> RunError:
    """A program that ``gentoomuch demo`` built does not have the compiler flags of its profile."""
    return RunError(f"{program} was not built for {cpu}: {output}", code="wrong-program")
