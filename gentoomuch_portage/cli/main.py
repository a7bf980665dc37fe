# SPDX-License-Identifier: GPL-2.0-or-later
"""The entry point of ``gentoomuch``; imports only what a command needs."""

import signal
import sys

from gentoomuch_portage import console, startup, version


def main() -> int:
    """Run ``gentoomuch`` and return its exit status."""
    startup.prepare()
    # Exit silently if the reader of stdout exits; a program that we exec expects the default as well.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    console.reopen_closed_streams()
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        with console.report_errors() as end:
            console.print_result(f"gentoomuch-portage {version.describe()}")
        return end.status
    try:
        startup.speak_utf8()
        from gentoomuch_portage.cli.commands import run_command_line

        return run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
