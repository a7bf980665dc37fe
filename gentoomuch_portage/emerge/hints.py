# SPDX-License-Identifier: GPL-2.0-or-later
"""Hints with the corrected command line of gm-emerge, after it or emerge has failed; imported only then."""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.config import profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.dotgentoo.arguments import is_project
from gentoomuch_portage.dotgentoo.errors import init_command
from gentoomuch_portage.errors import GmError, correct_command
from gentoomuch_portage.plan.request import OPTIONS, SAMPLES
from gentoomuch_portage.portage_adapter import paths

_OF_EMERGE = frozenset({"config", "help", "version"})
"""Options of emerge that have the name of one of ours."""
_WITH_DIRECTORY = frozenset({"--config-root", "--prefix", "--quickpkg-direct-root", "--root", "--sysroot"})
"""Options of emerge whose value is a directory."""


def print_hint(program: str, arguments: Sequence[str]) -> None:
    """Print the command that was probably meant, if there is one."""
    if hint := find_hint(arguments, Path(program).name):
        console.info(f"gentoomuch:     hint: {hint}")


def find_hint(arguments: Sequence[str], program: str = "gm-emerge") -> str:
    """Return the corrected command for an argument that emerge does not know, and gm-emerge does; empty without one."""
    for index, argument in enumerate(arguments):
        option_before = arguments[index - 1] if index else ""
        if argument == "--":
            return ""
        option, _, value = argument.removeprefix("--").partition("=")
        form = OPTIONS.get(f"--gm-{option}") if argument.startswith("--") and option not in _OF_EMERGE else None
        if form is not None:
            after = arguments[index + 1 :]
            is_next = bool(form) and not form.startswith("[") and after and not after[0].startswith("-")
            value = value or (
                "" if is_next else SAMPLES.get(f"--gm-{option}", "").replace("NAME", _find_name() or "NAME")
            )
            meant = f"--gm-{option}{'=' if value else ''}{value}"
            return shlex.join((program, *arguments[:index], meant, *after))
        is_path = argument in {".", ".."} or argument.startswith(("./", "../", "/"))
        if is_path and option_before not in _WITH_DIRECTORY and Path(argument).is_dir() and not is_project(argument):
            return init_command(Path(argument))
    return ""


def correct(error: GmError, program: str, arguments: Sequence[str]) -> None:
    """Make the hint of an error the corrected command line, if the error says how to correct it."""
    name = Path(program).name
    command = (name if name.endswith("-emerge") else "gm-emerge", *arguments)
    if corrected := correct_command(error, command, _find_name):
        error.hint = shlex.join(corrected)


def _find_name() -> str:
    """Return the name of a profile, for an example; empty if there is none."""
    with suppress(GmError, OSError):
        return profile.example_name(Settings.load(os.environ, eprefix=paths.eprefix()))
    return ""
