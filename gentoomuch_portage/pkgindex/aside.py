"""Big files that take the place of others: the disk's part of it, while other things go on.

A file system like ext4 looks for room for a file when it is written out, and writes it out when it replaces another
(Source: ext4(5), auto_da_alloc): 15 ms for 40 MB. So each part is written out as soon as it is there.

Whoever is the last to close a file that has no name any more waits until the disk has let go of it: 10 to 20 ms for
40 MB, more than it takes to write the new one. So it is held open while its place is taken, and a thread closes it.
Nobody waits for that thread but a fork, for Portage forks, and what a thread does is lost on a child.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS: list[threading.Thread] = []


@contextmanager
def freeing(*files: Path) -> Iterator[None]:
    """Hold files, those that are there, for as long as the block runs; then a thread lets go of them."""
    numbers: list[int] = []
    try:
        for one in files:
            with suppress(FileNotFoundError):
                numbers.append(os.open(one, os.O_RDONLY | os.O_CLOEXEC))
        yield
    finally:
        _before_forks()
        wait()
        thread = threading.Thread(target=_closed, args=(numbers,))
        thread.start()
        _THREADS.append(thread)


@contextmanager
def written_out(number: int) -> Iterator[Callable[[int, int], object]]:
    """A thread begins to write parts of a file to the disk, those that it is told of: where, and how many bytes.

    Only the advice that they are not needed starts that (Source: mm/fadvise.c); what is not on the disk yet stays in
    memory in spite of it.
    """
    with ThreadPoolExecutor(1) as aside:
        yield lambda at, size: aside.submit(os.posix_fadvise, number, at, size, os.POSIX_FADV_DONTNEED)


def wait() -> None:
    """Until nothing is held any more."""
    while _THREADS:
        _THREADS.pop().join()


def _closed(numbers: list[int]) -> None:
    for one in numbers:
        os.close(one)


@functools.cache
def _before_forks() -> None:
    os.register_at_fork(before=wait)
