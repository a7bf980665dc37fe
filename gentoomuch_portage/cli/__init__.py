"""gentoomuch: the door of everything that is not a run of emerge.

Only what a command needs is imported, so that ``gentoomuch --version`` costs little more than Python.
"""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gentoomuch_portage import __version__, console

if TYPE_CHECKING:
    import argparse

    from gentoomuch_portage.cli.parser import Parser
    from gentoomuch_portage.settings import Settings


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


def main() -> int:
    """The console script."""
    # A reader that went away ends us quietly, and a program that we become starts with what it expects.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    console.stand_in()
    if sys.argv[1:] == ["--version"]:
        with console.shown() as end:
            console.say(f"gentoomuch-portage {__version__}")
        return end.status
    try:
        from gentoomuch_portage.portage_adapter import front

        front.speak_utf8()
        from gentoomuch_portage.cli.door import enter

        return enter(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
