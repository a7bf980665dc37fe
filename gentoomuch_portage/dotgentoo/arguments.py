# SPDX-License-Identifier: GPL-2.0-or-later
"""Find arguments of emerge that name a project with a .gentoo directory.

Every run of plain emerge imports it, so it imports nothing of gentoomuch.
"""

from collections.abc import Iterable
from pathlib import Path


def is_project(word: str) -> bool:
    """Return whether an argument is the path of a .gentoo directory or of a directory that contains one.

    An atom has a slash, too: an existing directory with a .gentoo directory takes precedence.
    """
    if word.startswith("-") or not ("/" in word or word in {".", "..", ".gentoo"}):
        return False
    path = Path(word).absolute()
    return (path if path.name == ".gentoo" else path / ".gentoo").is_dir()


def find_projects(words: Iterable[str]) -> tuple[str, ...]:
    """Return the arguments that name a project, each once, in their order."""
    return tuple(dict.fromkeys(word for word in words if is_project(word)))
