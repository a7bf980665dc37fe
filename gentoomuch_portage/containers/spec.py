# SPDX-License-Identifier: GPL-2.0-or-later
"""The description of a container: its mounts, its program, and its limits."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self


class Bind(NamedTuple):
    """A file or directory of the host."""

    source: str
    target: str
    writable: bool = False
    optional: bool = False
    """Skip the mount if the source no longer exists when the container starts."""

    def __str__(self) -> str:
        return f"{self.target} from {self.source}, {'writable' if self.writable else 'read-only'}"


class Pick(NamedTuple):
    """An entry of a directory of the host that is copied; a directory with all that is in it."""

    name: str
    """Its path below that directory."""
    mode: str = "public"
    """``public``: only what others may read; ``portage``: all but keys; ``named``: all."""
    edit: str = ""
    """What is removed from the copies: a key of ``composed.EDITS``."""
    md5: str = ""
    """Copy the file only if this is its digest."""


class Overlay(NamedTuple):
    """A directory of the host whose changes are stored in ``upper``."""

    source: str
    target: str
    upper: str
    search: bool = False
    """Whether private files in it are searched for and hidden when the container starts."""
    owners: str = ""
    """A database of installed packages: what these own is not hidden."""
    hidden: tuple[str, ...] = ()
    """Paths below ``source``, relative to it, that do not exist in the container."""
    picks: tuple[Pick, ...] = ()
    """Entries of which it has edited copies."""
    copies: str = ""
    """The directory of these copies, once they exist."""
    below: str = ""
    """The changes of an earlier container, which this one sees and does not modify."""

    def __str__(self) -> str:
        hidden = ", without private files" if self.search else ""
        return f"{self.target} from {self.source}, copy on write in {self.upper}{hidden}"


class Composed(NamedTuple):
    """A directory of copies of what is listed, copy on write. What the list does not name does not exist in it."""

    source: str
    target: str
    upper: str
    """The directory that stores its changes; empty for a read-only directory."""
    picks: tuple[Pick, ...] = ()

    def __str__(self) -> str:
        listed = [pick.name for pick in self.picks if not pick.md5]
        owned = len(self.picks) - len(listed)
        text = f"{' '.join(listed) or 'nothing'}{f', and {owned} unmodified files of packages' if owned else ''}"
        access = f"copy on write in {self.upper}" if self.upper else "read-only"
        return f"{self.target} with copies of: {text}, {access}"


class Tmpfs(NamedTuple):
    """An empty directory in memory."""

    target: str
    mode: int = 0o755

    def __str__(self) -> str:
        return f"{self.target} empty, in memory"


class Dev(NamedTuple):
    """The devices null, zero, full, random, urandom and tty, terminals, and shared memory."""

    target: str = "/dev"

    def __str__(self) -> str:
        return f"{self.target} with null, zero, full, random, urandom, tty and ptys"


class Proc(NamedTuple):
    """The processes of the container."""

    target: str = "/proc"

    def __str__(self) -> str:
        return f"{self.target} of its own, with read-only settings"


class Squashfs(NamedTuple):
    """A snapshot of a directory of the host, read-only; the directory itself if no image can be mounted."""

    image: str
    target: str
    source: str
    place: str
    """Its mount point outside, before the namespaces of the container exist."""

    def __str__(self) -> str:
        return f"{self.target} from the snapshot {self.image}, read-only"


class Link(NamedTuple):
    """A symbolic link."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.target} -> {self.source}"


Mount = Bind | Composed | Overlay | Tmpfs | Dev | Proc | Squashfs | Link
MOUNT_TYPES: Mapping[str, type[Any]] = {
    "bind": Bind, "overlay": Overlay, "tmpfs": Tmpfs, "dev": Dev, "proc": Proc, "squashfs": Squashfs,
    "link": Link, "composed": Composed,
}  # fmt: skip
SPEC = "container.json"
"""The description of the last container of a run, in its directory."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""Below /proc: settings of the whole machine that root may change."""
HIDDEN_PROC = (
    "acpi", "asound", "kallsyms", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats",
)  # fmt: skip
"""Below /proc: files that describe or control the whole machine. Source: the masked paths of runc."""


class ContainerSpec(NamedTuple):
    """A container: its mounts in order, and the program that runs in it."""

    mounts: tuple[Mount, ...]
    run: str
    """The directory of the run, removed with it: upper layers, and files for the container and from it."""
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    """All of its environment."""
    cwd: str = "/"
    init: tuple[str, ...] = ()
    """The command line of ``init`` in the container, if another program creates its namespaces."""
    hostname: str = "gentoomuch"
    network: bool = False
    """Whether it shares the host's network; otherwise it has only a loopback of its own."""
    processes: int = 0
    """Processes that each of its users may have at once; 0: no limit."""
    scratch: str = ""
    """PORTAGE_TMPDIR in the container; a virtual machine has it in its own memory."""
    scratch_source: str = ""
    """The host's directory for it, if it is created before the container starts, and removed afterwards."""
    logdir: str = ""
    """The host's directory for its logs; default: the path that they have in the container."""
    kernel: str = ""
    """The kernel that a virtual machine boots; empty: one of the host's."""
    below: str = ""
    """The directory of the upper layers of an earlier container, which this one sees and does not modify."""
    disk: int = 0
    """Bytes that may be written in it, to memory; 0: as many as fit on the disk of ``run``."""

    def to_json(self) -> str:
        """Return the container as text; equal containers have equal text."""
        mounts = [[mount_type(mount), *mount] for mount in self.mounts]
        return json.dumps(self._asdict() | {"mounts": mounts, "env": dict(self.env)}, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the text that ``to_json`` has written.

        Raises:
            ValueError, KeyError, TypeError: it has not.
        """
        fields = json.loads(text)
        fields["mounts"] = tuple(_mount(*entry) for entry in fields["mounts"])
        fields |= {name: tuple(fields[name]) for name in ("argv", "init")}
        return cls(**fields)


def _mount(name: str, *values: Any) -> Mount:
    """Return a mount from its JSON: lists become tuples again."""
    fields = (tuple(value) if isinstance(value, list) else value for value in values)
    mount: Mount = MOUNT_TYPES[name](*fields)
    if isinstance(mount, Composed | Overlay):
        return mount._replace(picks=tuple(Pick(*pick) for pick in mount.picks))
    return mount


def mount_type(mount: Mount) -> str:
    """Return the name of a mount's type."""
    return next(name for name, cls in MOUNT_TYPES.items() if cls is type(mount))
