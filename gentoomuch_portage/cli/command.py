# SPDX-License-Identifier: GPL-2.0-or-later
"""A command of ``gentoomuch``: its name, its help, its arguments, and the function that runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gentoomuch_portage.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Command:
    """A command of ``gentoomuch``. Plugins add theirs with the hook ``gm_commands``."""

    name: str
    """The name that is typed."""
    help: str
    """One line in lower case."""
    add: Callable[[Any], None]
    """Adds the arguments to the parser; called only if the command is named, or for help and completion."""
    work: "Callable[[Settings, argparse.Namespace], int]"
    """Runs the command and returns its exit status."""
