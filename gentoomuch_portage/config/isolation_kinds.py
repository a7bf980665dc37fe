# SPDX-License-Identifier: GPL-2.0-or-later
"""Isolation kinds: the one list of those that are built in, and those that other distributions add.

A kind of another distribution is an entry point of the group ``gentoomuch_portage.containers``. The name of the entry
point is a value of ``isolation``; its object is called with a ``ContainerRequest`` and returns a command line. Entry
points are searched only for a name that is not built in: to search 300 distributions takes 100 ms.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gentoomuch_portage.errors import RunError
from gentoomuch_portage.startup import LazyModule

if TYPE_CHECKING:
    from importlib import metadata
else:
    metadata = LazyModule("importlib.metadata")

GROUP = "gentoomuch_portage.containers"


class IsolationKind(NamedTuple):
    """A built-in value of ``isolation`` that means a container."""

    name: str
    program: str = ""
    """The program that makes the container, on PATH; empty if gentoomuch makes it without one."""
    package: str = ""
    """The package of Gentoo that has the program."""
    needs_root: bool = False
    """Whether the program works only as root of the machine, outside of a user namespace."""
    automatic: bool = True
    """Whether ``auto`` may choose it."""


BWRAP = IsolationKind("bwrap", "bwrap", "sys-apps/bubblewrap")
UNSHARE = IsolationKind("unshare")
NSPAWN = IsolationKind("nspawn", "systemd-nspawn", "sys-apps/systemd", needs_root=True)
PODMAN = IsolationKind("podman", "podman", "app-containers/podman", needs_root=True)
VM = IsolationKind("vm", "qemu-system-x86_64", "app-emulation/qemu", automatic=False)
BUILT_IN: Mapping[str, IsolationKind] = {kind.name: kind for kind in (BWRAP, UNSHARE, NSPAWN, PODMAN, VM)}
"""In the order in which ``auto`` tries them. ``containers/backends.py`` has their command lines."""
AUTOMATIC = tuple(kind.name for kind in BUILT_IN.values() if kind.automatic)
NONE, AUTO = "none", "auto"
"""Build on the host; build in the first kind of container that works here."""
CHOICES = (NONE, AUTO, *BUILT_IN)
"""The built-in values of ``isolation``."""
DOCKER = "docker"
"""Accepted as a value, to be rejected with the reason when a container is started."""


class ContainerRequest(NamedTuple):
    """What a container has to be. Later versions may add fields and remove none."""

    root: str
    """A directory with all that the container sees, except for /dev and /proc."""
    program: tuple[str, ...]
    """What runs in it, as root of a user namespace: our own last step, which drops capabilities and privileges. It is
    the first process or a child of that."""
    env: Mapping[str, str]
    """The environment that the program needs."""
    hostname: str
    network: bool
    """Whether the container shares the host's network; otherwise it has only a loopback of its own."""


Make = Callable[[ContainerRequest], Sequence[str]]


class MakerFailed(RunError):
    """A container type that another Python package adds is not installed, or has failed."""

    code = "maker-failed"

    def __init__(self, kind: str, entry_point: str, reason: str) -> None:
        super().__init__(f"container type {kind!r} ({entry_point}) failed: {reason}", hint='isolation = "auto"')


def names() -> tuple[str, ...]:
    """Return the kinds of other distributions, sorted."""
    return tuple(sorted({entry_point.name for entry_point in _entry_points()}))


def is_known(name: str) -> bool:
    """Return whether a value of ``isolation`` exists, built in or not."""
    return name in CHOICES or name in names()


def argv(kind: str, request: ContainerRequest) -> tuple[str, ...]:
    """Return the command line that starts a container of another distribution's kind.

    Raises:
        MakerFailed: the distribution is missing, fails, or returns no command line.
    """
    entry_point = next((entry_point for entry_point in _entry_points() if entry_point.name == kind), None)
    if entry_point is None:
        raise MakerFailed(kind, "of no distribution", "it is not installed")
    try:
        words = tuple(entry_point.load()(request))
    except Exception as error:  # the code of others may raise anything
        raise MakerFailed(kind, entry_point.value, f"{type(error).__name__}: {error}") from error
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise MakerFailed(kind, entry_point.value, "it returned no list of strings without NUL")
    return words


def _entry_points() -> Any:
    return metadata.entry_points(group=GROUP)
