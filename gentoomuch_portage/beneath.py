"""Folders opened one below the other, each held open: no path is walked through a link, ever."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def within(top: int, path: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder, walked to without following a link.

    Args:
        top: a descriptor of the folder that it is below.
        path: names alone; a ``..`` among them would lead out.
        make: make what is missing.

    Raises:
        OSError: a part of the path is a link, no folder, or missing.
    """
    number = os.dup(top)
    try:
        for part in path:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=number)
            below = os.open(part, FOLDER, dir_fd=number)
            os.close(number)
            number = below
        yield number
    finally:
        os.close(number)
