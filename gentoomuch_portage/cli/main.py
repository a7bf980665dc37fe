"""The door of everything that is not a run of emerge; it imports only what it needs."""

import signal
import sys

from gentoomuch_portage import __version__, console


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
        from gentoomuch_portage.portage_adapter import emerge

        emerge.speak_utf8()
        from gentoomuch_portage.cli.commands import enter

        return enter(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
