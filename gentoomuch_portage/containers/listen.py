"""Listen to a box while it runs."""

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gentoomuch_portage import console

PIPE = "events"
"""Below a box's own folder."""
_AT_ONCE = 1 << 16
_PATIENCE = 0.2
"""Seconds between two looks whether the box has ended."""


def pipe(run: Path) -> Path:
    """The pipe of a box, which is made where it is missing.

    Args:
        run: the box's own folder.
    """
    made = run / PIPE
    with suppress(FileExistsError):
        os.mkfifo(made, 0o600)
    return made


@contextmanager
def heard(run: Path, hear: Callable[[bytes], None], longest: int) -> Iterator[None]:
    """As long as the block runs, what a box tells is heard, in a thread of its own; all of it when the block ends.

    Args:
        run: the box's own folder.
        hear: is given each line, without its end.
        longest: bytes; a longer line is passed over.
    """
    # Open for writing as well, or the pipe would end with the first who lets go of it.
    number = os.open(pipe(run), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    ended = threading.Event()
    thread = threading.Thread(target=_listen, args=(number, hear, longest, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        os.close(number)


def _listen(number: int, hear: Callable[[bytes], None] | None, longest: int, ended: threading.Event) -> None:
    kept, whole = b"", True
    while True:
        last = ended.is_set()
        if not select.select([number], [], [], 0 if last else _PATIENCE)[0]:
            if last:
                return
            continue
        *lines, rest = (kept + os.read(number, _AT_ONCE)).split(b"\n")
        for line in lines:
            if whole and hear is not None:
                hear = _heard(hear, line)
            whole = True
        whole = whole and len(rest) <= longest
        kept = rest if whole else b""


def _heard(hear: Callable[[bytes], None], line: bytes) -> Callable[[bytes], None] | None:
    """Who hears the next line: nobody after a failure, but the pipe is emptied, or what runs in the box would wait."""
    try:
        hear(line)
    except Exception as error:
        console.warn(f"what the container tells is heard no longer: {type(error).__name__}: {error}")
        return None
    return hear
