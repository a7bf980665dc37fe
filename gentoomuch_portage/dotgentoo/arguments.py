"""Which words of emerge's line mean a project with a .gentoo folder.

On the way of every plain emerge, so it imports nothing of ours.
"""

from collections.abc import Iterable
from pathlib import Path


def means_folder(word: str) -> bool:
    """Whether a word is a path, and what it names is a .gentoo folder or holds one.

    An atom has a slash too; a directory of that name that holds a .gentoo folder is what was meant.
    """
    if word.startswith("-") or not ("/" in word or word in {".", "..", ".gentoo"}):
        return False
    path = Path(word).absolute()
    return (path if path.name == ".gentoo" else path / ".gentoo").is_dir()


def folders(words: Iterable[str]) -> tuple[str, ...]:
    """The words that mean one, each once, in order."""
    return tuple(dict.fromkeys(word for word in words if means_folder(word)))
