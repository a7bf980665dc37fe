"""Which kinds of containers work here, as this user: tried out, not guessed."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import fs, process
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.isolation_kinds import MakerFailed
from gentoomuch_portage.containers import id_maps, lifecycle, linux
from gentoomuch_portage.containers.backends import TOLD, TOLD_FROM
from gentoomuch_portage.containers.helpers import home, words
from gentoomuch_portage.containers.host_paths import interpreter
from gentoomuch_portage.containers.overlay import covers
from gentoomuch_portage.containers.spec import Bind, Box, Dev, Link, Mount, Proc, Tmpfs
from gentoomuch_portage.containers.vm import launch
from gentoomuch_portage.errors import MachineError, MissingContainer, MissingKernel, MissingProgram, NoPrivilege

KINDS = ("bwrap", "unshare", "nspawn", "podman")
"""In the order in which ``auto`` takes them."""
NAMED = (*KINDS, "vm")
"""All of them: a virtual machine is only taken by those who name it."""
_ROOT_ONLY = frozenset({"nspawn", "podman"})


class NoDocker(MachineError):
    """Docker is named as a kind of container, and cannot be one."""

    code = "no-docker"
    kind = "docker"

    def __init__(self) -> None:
        super().__init__(
            "docker cannot make a box: its daemon does not see the mounts that we lay for one",
            remedy="podman, which has no daemon and takes the same images; or auto",
        )


class NoContainer(MachineError):
    """No kind of container works here."""

    code = "no-container"

    def __init__(self) -> None:
        super().__init__("no kind of container works here", remedy="gentoomuch doctor says why, and what would help")


class Probe(NamedTuple):
    """What became of a try."""

    kind: str
    works: bool
    why: str
    """Why not; empty where it works."""
    remedy: str = ""


def probe(kind: str, cache: Path) -> Probe:
    """Run ``true`` in a container of a kind."""
    if kind in _ROOT_ONLY and os.geteuid():
        return Probe(kind, False, "it needs root here", _as_root(kind))
    try:
        with lifecycle.folder(cache) as place:
            ran = lifecycle.start(kind, smallest(place), keep=True)
    except (MissingProgram, MissingKernel, NoPrivilege, MakerFailed) as error:
        return Probe(kind, False, str(error), error.remedy)
    if not ran.status:
        return Probe(kind, True, "")
    said = [line for line in (ran.err + ran.out).strip().splitlines() if not line.startswith(linux.TRY)]
    told = said[-1] if said else f"it ended with {ran.status}"
    return Probe(kind, False, told.removeprefix("gentoomuch: "), _remedy())


def _as_root(kind: str) -> str:
    return f"sudo gm-emerge --gm-isolation={kind}, or take bwrap or unshare"


def machine() -> Probe:
    """Whether all is here that a virtual machine needs; none is started, which may take half a minute."""
    error = launch.lacks()
    return Probe("vm", error is None, str(error or ""), error.remedy if error else "")


def docker() -> NoDocker | None:
    """Why docker is not among them, for those who have it."""
    return NoDocker() if process.where(NoDocker.kind) else None


def smallest(place: Path, argv: tuple[str, ...] = ("true",)) -> Box:
    """The smallest box that a program of the system runs in."""
    mounts: list[Mount] = [Tmpfs("/tmp"), Tmpfs("/run"), Dev(), Proc()]
    for name in ("usr", "bin", "sbin", "lib", "lib64"):
        folder = Path("/", name)
        if folder.is_symlink():
            mounts.append(Link(os.readlink(folder), str(folder)))
        elif folder.is_dir():
            mounts.append(Bind(str(folder), str(folder)))
    for named in sorted(interpreter(os.environ)):
        for folder in (named, named.resolve()):
            if not covers(mounts, folder):
                mounts.append(Bind(str(folder), str(folder)))
    mounts.append(Bind(str(place / TOLD_FROM), TOLD))
    door = words("containers.init")
    env = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(home())}
    return Box(mounts=tuple(mounts), run=str(place), argv=argv, env=env, door=door)


def _remedy() -> str:
    """What a kernel may have to be told before a user can make namespaces."""
    for name, wanted in (
        ("kernel/unprivileged_userns_clone", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0"),
    ):
        switch = Path("/proc/sys", name)
        if os.geteuid() and switch.is_file() and switch.read_text(encoding="utf-8").strip() != wanted:
            return f"sysctl -w {name.replace('/', '.')}={wanted}"
    if os.geteuid() and not id_maps.several():
        return f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {os.environ.get('USER', 'USER')}"
    return "gentoomuch doctor"


def remembered(cache: Path) -> Iterator[Probe]:
    """All kinds, ours tried once as long as the machine runs and its programs stay the same; then those of others."""
    kept = cache / f"containers/probes-{os.geteuid()}.json"
    key = [platform.release(), _boot(), *(str(process.where(name)) for name in ("bwrap", "systemd-nspawn", "podman"))]
    found: Mapping[str, list[str]] = {}
    try:
        told = json.loads(kept.read_text(encoding="utf-8"))
        found = told["found"] if told["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not tried yet
    tried = dict(found)
    for kind in KINDS:
        if kind not in tried:
            one = probe(kind, cache)
            tried[kind] = ["works" if one.works else "", one.why, one.remedy]
            fs.write(kept, json.dumps({"key": key, "found": tried}))
        works, why, remedy = tried[kind]
        yield Probe(kind, bool(works), why, remedy)
    yield from (probe(kind, cache) for kind in isolation_kinds.names() if kind not in NAMED)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def chosen(asked: str, cache: Path) -> str:
    """The kind of container for a word: itself, or for ``auto`` the first that works; ``none`` where none does.

    Raises:
        MissingContainer: there is no such kind.
        NoDocker: it is docker.
        NoPrivilege: it is for root alone.
    """
    if asked == NoDocker.kind:
        raise NoDocker
    if asked == "auto":
        return next((one.kind for one in remembered(cache) if one.works), "none")
    if asked not in (*NAMED, "none") and asked not in isolation_kinds.names():
        raise MissingContainer(asked, (*NAMED, *isolation_kinds.names(), "auto"))
    if asked in _ROOT_ONLY and os.geteuid():
        raise NoPrivilege(f"{asked} needs root here", remedy=_as_root(asked))
    return asked
