# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the events of a container while it runs."""

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.containers.spec import Bind, ContainerSpec

PIPE = "events"
"""In the directory of a run."""
_CHUNK = 1 << 16
_POLL = 0.2
"""Seconds between two checks whether the container has ended."""


def make_pipe(run: Path) -> Path:
    """Create the event pipe of a container if it is missing, and return its path.

    Args:
        run: the directory of the run.
    """
    path = run / PIPE
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return path


def find_target(spec: ContainerSpec) -> str:
    """Return the path of the event pipe in a container; empty if it has none."""
    source = f"{spec.run}/{PIPE}"
    return next((mount.target for mount in spec.mounts if isinstance(mount, Bind) and mount.source == source), "")


@contextmanager
def listening(run: Path, read_line: Callable[[bytes], None], longest: int) -> Iterator[None]:
    """Pass on the events of a container in a thread while the block runs; when the block ends, all of them were read.

    Args:
        run: the directory of the run.
        read_line: called with each line, without its end.
        longest: bytes; longer lines are skipped.
    """
    # Opened for writing as well, or the pipe would end with the first writer that closes it.
    number = os.open(make_pipe(run), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    ended = threading.Event()
    thread = threading.Thread(target=_listen, args=(number, read_line, longest, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        os.close(number)


def _listen(number: int, read_line: Callable[[bytes], None] | None, longest: int, ended: threading.Event) -> None:
    buffer, whole = b"", True
    while True:
        last = ended.is_set()
        if not select.select([number], [], [], 0 if last else _POLL)[0]:
            if last:
                return
            continue
        *lines, rest = (buffer + os.read(number, _CHUNK)).split(b"\n")
        for line in lines:
            if whole and read_line is not None:
                read_line = _pass_on(read_line, line)
            whole = True
        whole = whole and len(rest) <= longest
        buffer = rest if whole else b""


def _pass_on(read_line: Callable[[bytes], None], line: bytes) -> Callable[[bytes], None] | None:
    """Return the listener of the next line: None after a failure, but the pipe is emptied so that no writer waits."""
    try:
        read_line(line)
    except Exception as error:
        console.warning(f"stopped reading events from the container: {type(error).__name__}: {error}")
        return None
    return read_line
