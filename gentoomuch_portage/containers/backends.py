"""The kinds of containers: the command lines of the programs that make them.

All of them find the mounts of a box laid below ``RUN/root`` and add namespaces, /dev and /proc.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gentoomuch_portage.config import isolation_kinds
from gentoomuch_portage.config.isolation_kinds import Asked
from gentoomuch_portage.containers import linux
from gentoomuch_portage.containers.spec import HIDDEN, SHUT, Box

TOLD = "/run/gentoomuch/told"
"""Where a box finds out about itself."""
TOLD_FROM = "told"
"""That file in ``RUN``: what ``inside`` needs, as few modules can read it; all of the box for a virtual machine."""


def bwrap(box: Box) -> tuple[str, ...]:
    """bubblewrap 0.5 and later, already in a user namespace that may have more than one user."""
    return (
        "bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
        *(() if box.network else ("--unshare-net",)), "--die-with-parent", "--hostname", box.hostname,
        "--cap-drop", "ALL", *(word for name in linux.KEPT for word in ("--cap-add", f"CAP_{name}")),
        "--bind", f"{box.run}/root", "/", "--dev", "/dev", "--proc", "/proc",
        *(word for name in SHUT for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")),
        *(word for name in HIDDEN for word in _hidden(Path("/proc", name))),
        "--setenv", "PATH", box.env.get("PATH", ""), "--setenv", "PYTHONPATH", box.env.get("PYTHONPATH", ""),
        "--chdir", "/", "--", *box.door, TOLD,
    )  # fmt: skip


def _hidden(path: Path) -> tuple[str, ...]:
    if path.is_dir():
        return "--tmpfs", str(path), "--remount-ro", str(path)
    return ("--ro-bind", "/dev/null", str(path)) if path.exists() else ()


def nspawn(box: Box) -> tuple[str, ...]:
    """systemd-nspawn, for root, on systems without systemd as well."""
    return (
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--console=pipe",
        "--machine", f"gentoomuch-{os.getpid()}",
        "--directory", f"{box.run}/root", "--hostname", box.hostname, "--link-journal=no", "--resolv-conf=off",
        "--timezone=off", *(() if box.network else ("--private-network",)), "--settings=no",
        "--capability", ",".join(f"CAP_{name}" for name in linux.KEPT), "--no-new-privileges=yes",
        "--setenv", f"PATH={box.env.get('PATH', '')}", "--setenv", f"PYTHONPATH={box.env.get('PYTHONPATH', '')}",
        *box.door, TOLD,
    )  # fmt: skip


def podman(box: Box) -> tuple[str, ...]:
    """podman 4 and later; its state lies below a /run of its own, nobody else's containers are seen."""
    return (
        "podman", "--root", "/run/podman/store", "--runroot", "/run/podman/run", "--tmpdir", "/run/podman/tmp",
        "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
        "run", "--rm", "--interactive", "--network", "host" if box.network else "none",
        "--hostname", box.hostname, "--security-opt", "no-new-privileges", "--pull", "never",
        "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4000:4000",
        "--cap-drop", "ALL", *(word for name in linux.KEPT for word in ("--cap-add", name)),
        "--env", f"PATH={box.env.get('PATH', '')}", "--env", f"PYTHONPATH={box.env.get('PYTHONPATH', '')}",
        "--rootfs", f"{box.run}/root", *box.door, TOLD,
    )  # fmt: skip


ARGV: Mapping[str, Callable[[Box], tuple[str, ...]]] = {"bwrap": bwrap, "nspawn": nspawn, "podman": podman}
"""``unshare`` needs no program: it is what ``enter`` does itself; that of ``vm`` is told by ``vm``."""


def argv(kind: str, box: Box) -> tuple[str, ...]:
    """The command line of the program that makes a container; empty where it is not made so.

    Raises:
        MakerFailed: the kind is another distribution's, and fails.
    """
    if kind in {"unshare", "vm"}:
        return ()
    if kind in ARGV:
        return ARGV[kind](box)
    env = {name: box.env.get(name, "") for name in ("PATH", "PYTHONPATH")}
    asked = Asked(f"{box.run}/root", (*box.door, TOLD), env, box.hostname, box.network)
    return isolation_kinds.argv(kind, asked)
