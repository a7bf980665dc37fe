# SPDX-License-Identifier: GPL-2.0-or-later
"""Detect which isolation kinds work here for this user, by starting a container of each."""

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gentoomuch_portage import console, fs, process
from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.isolation_kinds import (
    AUTO,
    AUTOMATIC,
    BUILT_IN,
    BWRAP,
    DOCKER,
    NONE,
    PODMAN,
    UNSHARE,
    VM,
    MakerFailed,
)
from gentoomuch_portage.containers import id_maps, lifecycle, linux
from gentoomuch_portage.containers.backends import DESCRIPTION, DESCRIPTION_FILE
from gentoomuch_portage.containers.helpers import command, import_path
from gentoomuch_portage.containers.host_paths import interpreter_paths
from gentoomuch_portage.containers.overlay import file_system, is_visible
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Dev, Link, Mount, Overlay, Proc, Tmpfs
from gentoomuch_portage.containers.vm import launch
from gentoomuch_portage.errors import MachineError, MissingKernel, MissingProgram, NoPrivilege, missing_container
from gentoomuch_portage.fs import Cache


def no_docker() -> MachineError:
    """docker is not supported as a container type."""
    return MachineError(
        "docker is not supported: its daemon cannot see our mounts",
        code="no-docker",
        hint=f'isolation = "{PODMAN.name}", which needs no daemon; or "{AUTO}"',
    )


def no_container() -> MachineError:
    """No container type works on this machine."""
    return MachineError("no container type works here", code="no-container", hint="gentoomuch doctor")


class Probe(NamedTuple):
    """The result of a try."""

    kind: str
    works: bool
    reason: str
    """Why the kind does not work; empty if it works."""
    hint: str = ""


def probe(kind: str, cache: Path) -> Probe:
    """Run ``true`` in a container of a kind, with a directory whose changes are stored in the cache, as in each run."""
    if _lacks_root(kind):
        return Probe(kind, False, "it requires root", _root_hint(kind))
    try:
        with lifecycle.run_directory(cache) as run:
            source = fs.ensure(run / "probe")
            written = Overlay(str(source), "/mnt", str(run / "upper/probe"))
            spec = smallest(run)
            ran = lifecycle.start(kind, spec._replace(mounts=(*spec.mounts, written)), keep=True)
    except (MissingProgram, MissingKernel, NoPrivilege, MakerFailed, lifecycle.OnOverlay) as error:
        return Probe(kind, False, str(error), error.hint)
    if not ran.status:
        return Probe(kind, True, "")
    output = (ran.err + ran.out).strip().splitlines()
    lines = [line for line in output if not line.startswith(linux.HINT_PREFIX)]
    reason = lines[-1] if lines else f"it ended with {ran.status}"
    return Probe(kind, False, reason.removeprefix("gentoomuch: "), _kernel_hint())


def _lacks_root(kind: str) -> bool:
    return kind in BUILT_IN and BUILT_IN[kind].needs_root and bool(os.geteuid())


def _root_hint(kind: str) -> str:
    return f"sudo gm-emerge --gm-isolation={kind}, or use {BWRAP.name} or {UNSHARE.name}"


def machine() -> Probe:
    """Check the requirements of a virtual machine; none is started, as that may take half a minute."""
    error = launch.find_missing()
    return Probe(VM.name, error is None, str(error or ""), error.hint if error else "")


def docker() -> MachineError | None:
    """Return the error for docker if it is installed."""
    return no_docker() if process.find_program(DOCKER) else None


def smallest(run: Path, argv: tuple[str, ...] = ("true",)) -> ContainerSpec:
    """Return the smallest container in which a program of the system runs."""
    mounts: list[Mount] = [Tmpfs("/tmp"), Tmpfs("/run"), Dev(), Proc()]
    for name in ("usr", "bin", "sbin", "lib", "lib64"):
        directory = Path("/", name)
        if directory.is_symlink():
            mounts.append(Link(os.readlink(directory), str(directory)))
        elif directory.is_dir():
            mounts.append(Bind(str(directory), str(directory)))
    for path in sorted(interpreter_paths(os.environ)):
        for directory in (path, path.resolve()):
            if not is_visible(mounts, directory):
                mounts.append(Bind(str(directory), str(directory)))
    mounts.append(Bind(str(run / DESCRIPTION_FILE), DESCRIPTION))
    env = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(import_path())}
    return ContainerSpec(mounts=tuple(mounts), run=str(run), argv=argv, env=env, init=command("containers.init"))


def _kernel_hint() -> str:
    """Return the command that lets an ordinary user create namespaces."""
    for name, required in (
        ("kernel/unprivileged_userns_clone", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0"),
    ):
        switch = Path("/proc/sys", name)
        if os.geteuid() and switch.is_file() and switch.read_text(encoding="utf-8").strip() != required:
            return f"sysctl -w {name.replace('/', '.')}={required}"
    if os.geteuid() and not id_maps.has_several_users():
        return f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {os.environ.get('USER', 'USER')}"
    return "gentoomuch doctor"


def cached_probes(cache: Path) -> Iterator[Probe]:
    """Yield the results of all kinds that ``auto`` may choose, then of those that other distributions add.

    Results are cached until the machine is booted again, or a program of a kind changes.
    """
    cached, key = Cache(cache / "containers"), f"probes-{os.geteuid()}"
    programs = (process.find_program(name) for name in (BUILT_IN[kind].program for kind in AUTOMATIC) if name)
    stamp = [platform.release(), _boot_id(), file_system(cache), *map(str, programs)]
    results = cached.load(key, _parse, stamp) or {}
    for kind in AUTOMATIC:
        if kind not in results:
            result = probe(kind, cache)
            results[kind] = ["works" if result.works else "", result.reason, result.hint]
            cached.store(key, results, stamp)
        works, reason, hint = results[kind]
        yield Probe(kind, bool(works), reason, hint)
    yield from (probe(kind, cache) for kind in isolation_kinds.names() if kind not in BUILT_IN)


def _parse(value: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {str(kind): [str(field) for field in fields] for kind, fields in value.items() if len(fields) == 3}


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def resolve(name: str, cache: Path) -> str:
    """Resolve a value of ``isolation`` to a kind; ``auto`` is the first that works, or ``none`` if none works.

    Raises:
        MachineError[missing-container]: there is no such container type.
        MachineError[no-docker]: it is docker.
        NoPrivilege: it requires root.
    """
    if name == DOCKER:
        raise no_docker()
    if name == AUTO:
        return next((result.kind for result in cached_probes(cache) if result.works), NONE)
    if not isolation_kinds.is_known(name):
        raise missing_container(name, (*BUILT_IN, *isolation_kinds.names(), AUTO))
    if _lacks_root(name):
        raise NoPrivilege(f"container type {name} requires root", hint=_root_hint(name))
    return name


def resolve_or_host(name: str, cache: Path) -> str:
    """Resolve a value of ``isolation`` to a kind; warn if ``auto`` becomes ``none``, because no kind works here.

    Raises:
        MachineError, NoPrivilege: as ``resolve``.
    """
    kind = resolve(name, cache)
    if kind == NONE != name:
        console.warning("no container type works here; building on the host (see gentoomuch doctor)")
    return kind
