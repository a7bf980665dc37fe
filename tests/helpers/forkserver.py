# SPDX-License-Identifier: GPL-2.0-or-later
"""Run our programs in forks of one process that has imported them: twenty times as fast as new interpreters.

Run as a program, it reads an argv as JSON from each line of its standard input, and answers each by its exit status,
standard output and standard error as JSON.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LIMIT = 300
"""Seconds after which a program hangs."""


class Ended(NamedTuple):
    """How a program ended."""

    status: int
    out: str
    err: str
    opened: frozenset[str]
    """The paths that it tried to open or to list, in its own process."""


class Server:
    """Forks programs on request.

    Attributes:
        process: the server.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def run(self, *argv: str | Path) -> Ended:
        """Run ``gm-emerge`` or ``gentoomuch`` with arguments."""
        self.process.stdin.write(json.dumps([str(word) for word in argv]) + "\n")
        self.process.stdin.flush()
        status, out, err, opened = json.loads(self.process.stdout.readline())
        return Ended(status, out, err, frozenset(opened.split("\0")))


@contextlib.contextmanager
def started(env: Mapping[str, str], before: Sequence[str] = ()) -> Iterator[Server]:
    """A fork server with this environment.

    Args:
        before: words in front of its command line, as ``setpriv`` with its options.
    """
    argv = [*before, sys.executable, "-P", __file__]
    with subprocess.Popen(
        argv, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        yield Server(process)
        process.stdin.close()
        assert process.wait(LIMIT) == 0


def _serve() -> None:
    from gentoomuch_portage.cli import commands
    from gentoomuch_portage.portage_adapter import emerge

    emerge.load()
    commands.load_own_commands()
    import gentoomuch_portage.emerge.run
    import gentoomuch_portage.plugins.manager  # noqa: F401

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        argv = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as opened:
            child = os.fork()
            if not child:
                _become(argv, out.fileno(), err.fileno(), opened.fileno())
            _, ended = os.waitpid(child, 0)
            with contextlib.suppress(ProcessLookupError):  # nothing that it has started changes files after its end
                os.killpg(child, signal.SIGKILL)
            told = []
            for file in (out, err, opened):
                file.seek(0)
                told.append(file.read().decode("utf-8", "replace"))
        print(json.dumps([os.waitstatus_to_exitcode(ended), *told]), file=answers, flush=True)


def _become(argv: list[str], out: int, err: int, opened: int) -> None:
    """Run a program in this process, in a session of its own without a terminal, and end it."""
    os.setsid()

    def watch(event: str, words: tuple[object, ...]) -> None:
        if event in {"open", "os.listdir", "os.scandir"} and isinstance(words[0], str | bytes):
            os.write(opened, os.fsencode(words[0]) + b"\0")

    sys.addaudithook(watch)
    if argv[0] not in {"gm-emerge", "gentoomuch"}:
        for number, target in ((out, 1), (err, 2)):
            os.dup2(number, target)
        os.execvp(argv[0], argv)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nowhere, 0), (out, 1), (err, 2)):
        os.dup2(number, target)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    signal.alarm(LIMIT)
    sys.argv = argv
    from gentoomuch_portage.emerge import main

    entries = {"gm-emerge": main.main, "gentoomuch": _gentoomuch}
    sys.exit(entries[argv[0]]())


def _gentoomuch() -> int:
    from gentoomuch_portage.cli import main

    return main.main()


if __name__ == "__main__":
    _serve()
