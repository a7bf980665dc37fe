"""gentoomuch: the door of everything that is not a run of emerge.

Only what a command needs is imported, so that ``gentoomuch --version`` costs little more than Python.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from gentoomuch_portage.cli.parser import Parser
    from gentoomuch_portage.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Command:
    """A command of ``gentoomuch``; plugins give theirs by the hook ``gm_commands``."""

    name: str
    """As it is typed."""
    help: str
    """One line, lower case."""
    add: "Callable[[Parser], None]"
    """Adds its arguments; called for each start, so it imports nothing slow."""
    work: "Callable[[Settings, argparse.Namespace], int]"
    """Does it, and returns the exit status."""
