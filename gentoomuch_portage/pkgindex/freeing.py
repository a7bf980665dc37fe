"""Let go of big files that were replaced while other things go on.

Whoever is the last to close a file that has no name any more waits until the disk has let go of it: 10 ms for 40 MB,
nearly what it takes to write the new one. So it is held open while its place is taken, and a thread closes it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Freeing:
    """Files that are held open."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._threads: list[threading.Thread] = []

    def hold(self, file: Path) -> None:
        """Hold a file, if it is there."""
        with suppress(FileNotFoundError):
            self._numbers.append(os.open(file, os.O_RDONLY | os.O_CLOEXEC))

    def begin(self) -> None:
        """Begin to let go of them."""
        while self._numbers:
            self._threads.append(threading.Thread(target=os.close, args=(self._numbers.pop(),)))
            self._threads[-1].start()

    def end(self) -> None:
        """Wait until all are let go of: Portage forks, and no thread must be left then."""
        self.begin()
        for one in self._threads:
            one.join()


@contextmanager
def freeing(*files: Path) -> Iterator[Freeing]:
    """Hold files for as long as the block runs, or until it says that they can go."""
    held = Freeing()
    try:
        for one in files:
            held.hold(one)
        yield held
    finally:
        held.end()
