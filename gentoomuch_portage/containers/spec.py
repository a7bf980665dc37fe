"""A box as data: what stands in it, what may leave it, and how much it may use."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self


class Bind(NamedTuple):
    """A file or folder of the host."""

    source: str
    target: str
    writable: bool = False

    def __str__(self) -> str:
        return f"{self.target} from {self.source}, {'writable' if self.writable else 'read-only'}"


class Overlay(NamedTuple):
    """A folder of the host that can be written without changing it: what is written lands in ``upper``."""

    source: str
    target: str
    upper: str
    private: Mapping[str, int] | None = None
    """Folders below which what others may not read is hidden, each with the number of levels that are looked at."""

    def __str__(self) -> str:
        hidden = ", without what is private" if self.private else ""
        return f"{self.target} from {self.source}, copy on write in {self.upper}{hidden}"


class Tmpfs(NamedTuple):
    """An empty folder in memory."""

    target: str
    mode: int = 0o755

    def __str__(self) -> str:
        return f"{self.target} empty, in memory"


class Dev(NamedTuple):
    """The six devices that programs count on, terminals, and shared memory."""

    target: str = "/dev"

    def __str__(self) -> str:
        return f"{self.target} with null, zero, full, random, urandom, tty and ptys"


class Proc(NamedTuple):
    """The processes of the box itself."""

    target: str = "/proc"

    def __str__(self) -> str:
        return f"{self.target} of its own, its switches read-only"


class Squashfs(NamedTuple):
    """A snapshot of a folder of the host, read-only; the folder itself where no image can be mounted."""

    image: str
    target: str
    source: str
    place: str
    """Where it is mounted outside, before the box's namespaces are made."""

    def __str__(self) -> str:
        return f"{self.target} from the snapshot {self.image}, read-only"


class Link(NamedTuple):
    """A symbolic link."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.target} -> {self.source}"


Mount = Bind | Overlay | Tmpfs | Dev | Proc | Squashfs | Link
KINDS: Mapping[str, type[Any]] = {
    "bind": Bind, "overlay": Overlay, "tmpfs": Tmpfs, "dev": Dev, "proc": Proc, "squashfs": Squashfs,
    "link": Link,
}  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SHUT = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""Below /proc: what root may switch there is the whole machine's."""
HIDDEN = (
    "acpi", "asound", "kallsyms", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats",
)  # fmt: skip
"""Below /proc: what tells of the machine and of others on it, or acts on it. Source: the masked paths of runc."""


class Box(NamedTuple):
    """One container: its mounts in their order, and the program that runs in it."""

    mounts: tuple[Mount, ...]
    run: str
    """A folder of its own outside, gone with it: upper layers, and what it hands in and out."""
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    """All of its environment."""
    cwd: str = "/"
    door: tuple[str, ...] = ()
    """Starts ``inside`` in the box, where another program makes its namespaces."""
    hostname: str = "gentoomuch"
    network: bool = False
    """Whether it shares the host's network; otherwise it has a loopback of its own and nothing else."""
    processes: int = 0
    """How many each of its users may have at once; 0 for no limit."""
    scratch: str = ""
    """Where it builds. A virtual machine has that in a memory of its own, and hands back what is left there."""
    kernel: str = ""
    """The file of the Linux that a virtual machine boots; empty for one of the host's."""
    disk: int = 0
    """Bytes that may be written in it, then kept in memory; 0 for as much as the disk of ``run`` holds."""

    def to_json(self) -> str:
        """The box as text; equal boxes give equal text."""
        shown = self._asdict() | {"mounts": [[kind(one), *one] for one in self.mounts], "env": dict(self.env)}
        return json.dumps(shown, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A box that ``to_json`` has written.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        found = json.loads(text)
        found["mounts"] = tuple(KINDS[name](*rest) for name, *rest in found["mounts"])
        found |= {name: tuple(found[name]) for name in ("argv", "door")}
        return cls(**found)


def kind(mount: Mount) -> str:
    """The word for a mount's kind."""
    return next(name for name, cls in KINDS.items() if cls is type(mount))


def overlays(box: Box) -> tuple[Overlay, ...]:
    """The copy-on-write folders of a box."""
    return tuple(one for one in box.mounts if isinstance(one, Overlay))
