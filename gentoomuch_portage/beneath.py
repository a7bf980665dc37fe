"""Folders opened one below the other, each held open: no path is walked through a link, ever."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

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


@contextmanager
def opened(root: Path, file: Path) -> Iterator[IO[bytes]]:
    """A plain file of a root, to be read: whoever lays a link in its place shows nothing of the host's.

    Args:
        file: its path, with that of the root; links may lead to the root, and nowhere below it.

    Raises:
        OSError: it is missing, or there is a link on the way to it.
    """
    *above, name = file.relative_to(root).parts
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with within(top, tuple(above)) as at:
            number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(top)
    with os.fdopen(number, "rb") as content:
        yield content
