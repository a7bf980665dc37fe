# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of the programs that start containers: bwrap, systemd-nspawn, podman.

Each program finds the mounts of the container below ``RUN/root`` and adds namespaces, /dev and /proc.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.isolation_kinds import BWRAP, NSPAWN, PODMAN, UNSHARE, VM, ContainerRequest
from gentoomuch_portage.containers import cgroups, linux
from gentoomuch_portage.containers.spec import HIDDEN_PROC, READ_ONLY_PROC, ContainerSpec

DESCRIPTION = "/run/gentoomuch/description"
"""The description of the container, inside of it."""
DESCRIPTION_FILE = "description"
"""That file in ``RUN``: what ``init`` needs, in a format that few modules can read; for ``vm`` all of the spec."""


def bwrap(spec: ContainerSpec) -> tuple[str, ...]:
    """Return the command line of bubblewrap 0.5 and later, run in a user namespace that may have several users."""
    env = spec.env
    return (
        BWRAP.program, "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
        *(() if spec.network else ("--unshare-net",)), "--die-with-parent", "--hostname", spec.hostname,
        "--cap-drop", "ALL", *(word for name in linux.KEPT_CAPABILITIES for word in ("--cap-add", f"CAP_{name}")),
        "--bind", f"{spec.run}/root", "/", "--dev", "/dev", "--proc", "/proc",
        *(word for name in READ_ONLY_PROC for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")),
        *(word for name in HIDDEN_PROC for word in _hide(Path("/proc", name))),
        "--setenv", "PATH", env.get("PATH", ""), "--setenv", "PYTHONPATH", env.get("PYTHONPATH", ""),
        "--chdir", "/", "--", *spec.init, DESCRIPTION,
    )  # fmt: skip


def _hide(path: Path) -> tuple[str, ...]:
    if path.is_dir():
        return "--tmpfs", str(path), "--remount-ro", str(path)
    return ("--ro-bind", "/dev/null", str(path)) if path.exists() else ()


def nspawn(spec: ContainerSpec) -> tuple[str, ...]:
    """Return the command line of systemd-nspawn, for root; it works on systems without systemd as well.

    It passes SIGINT to the first process; to its own stub init (``--as-pid2``) that would mean a reboot.
    """
    env = spec.env
    return (
        NSPAWN.program, "--quiet", "--register=no", "--keep-unit", "--console=pipe", "--kill-signal=SIGINT",
        "--machine", f"gentoomuch-{os.getpid()}",
        "--directory", f"{spec.run}/root", "--hostname", spec.hostname, "--link-journal=no", "--resolv-conf=off",
        "--timezone=off", *(() if spec.network else ("--private-network",)), "--settings=no",
        "--capability", ",".join(f"CAP_{name}" for name in linux.KEPT_CAPABILITIES), "--no-new-privileges=yes",
        "--setenv", f"PATH={env.get('PATH', '')}", "--setenv", f"PYTHONPATH={env.get('PYTHONPATH', '')}",
        *spec.init, DESCRIPTION,
    )  # fmt: skip


def podman(spec: ContainerSpec) -> tuple[str, ...]:
    """Return the command line of podman 4 and later; its state is in a private /run, apart from other containers."""
    env = spec.env
    return (
        PODMAN.program, "--root", "/run/podman/store", "--runroot", "/run/podman/run", "--tmpdir", "/run/podman/tmp",
        "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
        "run", "--rm", "--interactive", "--cgroup-parent", f"/{cgroups.parent(Path(spec.run))}",
        "--network", "host" if spec.network else "none",
        "--hostname", spec.hostname, "--security-opt", "no-new-privileges", "--pull", "never",
        "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4000:4000",
        "--cap-drop", "ALL", *(word for name in linux.KEPT_CAPABILITIES for word in ("--cap-add", name)),
        "--env", f"PATH={env.get('PATH', '')}", "--env", f"PYTHONPATH={env.get('PYTHONPATH', '')}",
        "--rootfs", f"{spec.run}/root", *spec.init, DESCRIPTION,
    )  # fmt: skip


ARGV: Mapping[str, Callable[[ContainerSpec], tuple[str, ...]]] = {
    BWRAP.name: bwrap, NSPAWN.name: nspawn, PODMAN.name: podman,
}  # fmt: skip
"""``enter`` creates the namespaces of ``unshare`` itself; ``vm.launch`` has the command line of ``vm``."""


def argv(kind: str, spec: ContainerSpec) -> tuple[str, ...]:
    """Return the command line of the program that starts a container; empty for ``unshare`` and ``vm``.

    Raises:
        MakerFailed: the kind belongs to another distribution, which fails.
    """
    if kind in ARGV:
        return ARGV[kind](spec)
    if kind in {UNSHARE.name, VM.name}:
        return ()
    env = {name: spec.env.get(name, "") for name in ("PATH", "PYTHONPATH")}
    request = ContainerRequest(f"{spec.run}/root", (*spec.init, DESCRIPTION), env, spec.hostname, spec.network)
    return isolation_kinds.argv(kind, request)
