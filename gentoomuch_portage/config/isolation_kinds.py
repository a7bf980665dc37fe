"""Kinds of containers that other distributions make: entry points of the group ``gentoomuch_portage.containers``.

Its name is the word for ``isolation``; what it names is called with an ``Asked`` and returns a command line. Ours are
not among them. They are looked for only where a word is none of ours: looking through 300 distributions takes 100 ms.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gentoomuch_portage.errors import RunError

GROUP = "gentoomuch_portage.containers"


class Asked(NamedTuple):
    """What a container is to be. Fields may come, and none goes."""

    root: str
    """A folder in which all stands that is seen in the container, but for /dev and /proc."""
    program: tuple[str, ...]
    """What is to run in it, as root of a user namespace, below a first process or as that: our own last step, which
    takes capabilities, privileges and the rest away."""
    env: Mapping[str, str]
    """What that needs of an environment."""
    hostname: str
    network: bool
    """Whether it shares the host's network; otherwise it has none but its own loopback."""


Make = Callable[[Asked], Sequence[str]]


class MakerFailed(RunError):
    """A kind of container of another distribution cannot be had."""

    code = "maker-failed"

    def __init__(self, kind: str, where: str, why: str) -> None:
        super().__init__(f"the kind of container {kind!r}, {where}, failed: {why}", remedy='isolation = "auto"')


def names() -> tuple[str, ...]:
    """The kinds that there are, sorted."""
    return tuple(sorted({one.name for one in _found()}))


def argv(kind: str, asked: Asked) -> tuple[str, ...]:
    """The command line of a container of a kind.

    Raises:
        MakerFailed: the distribution has an error, or there is none.
    """
    found = next((one for one in _found() if one.name == kind), None)
    if found is None:
        raise MakerFailed(kind, "of no distribution", "it is not installed")
    try:
        words = tuple(found.load()(asked))
    except Exception as error:  # what others write may fail with anything
        raise MakerFailed(kind, found.value, f"{type(error).__name__}: {error}") from error
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise MakerFailed(kind, found.value, "its command line is not made of words")
    return words


def _found() -> Any:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)
