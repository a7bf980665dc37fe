# SPDX-License-Identifier: GPL-2.0-or-later
"""The last step into a container, the same for every isolation kind: drop privileges, then run the program.

A second user namespace makes all mounts of the first one immutable, even for root of the container.

Each start of a container waits for the imports of this module: no typing, no json, no pathlib.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from gentoomuch_portage.containers import linux, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from gentoomuch_portage.containers.spec import ContainerSpec


class Program:
    """The program to run, and its limits; the fields are those of ``ContainerSpec``."""

    def __init__(self, processes: int, disk: int, cwd: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.processes, self.disk, self.cwd, self.argv, self.env = processes, disk, cwd, argv, env


def pack(spec: "ContainerSpec") -> bytes:
    """Return what ``unpack`` reads: strings separated by NUL, which no argument can contain."""
    env = (f"{name}={value}" for name, value in spec.env.items())
    fields = (str(spec.processes), str(spec.disk), spec.cwd, str(len(spec.argv)), *spec.argv, *env)
    return os.fsencode("\0".join(fields))


def unpack(content: bytes) -> Program:
    """Return the program of a container.

    Raises:
        ValueError: ``pack`` has not written the content.
    """
    processes, disk, cwd, count, *words = os.fsdecode(content).split("\0")
    argv, env = words[: int(count)], words[int(count) :]
    return Program(int(processes), int(disk), cwd, argv, dict(word.split("=", 1) for word in env))


def start(program: "ContainerSpec | Program", *, load_filter: Callable[[], object] = lambda: None) -> "NoReturn":
    """Run the program of a container, as its first process or below that; end as it ends.

    No module may be imported from here on: the container may have no Python.

    Args:
        load_filter: loads the filter of system calls.
    """
    if program.processes:
        _limit_pids(program.processes)
    users, groups = linux.every_id()

    def mapped(number: int) -> None:
        linux.write_maps(number, users, groups)

    number = linux.fork(lambda: _run(program, load_filter), mapped=mapped, flags=linux.NEWUSER | linux.NEWNS)
    # The session leader is 0 here if it is outside: then the program is in the group that a terminal interrupts.
    # Podman creates a session of its own, and forwards an interrupt only to this process.
    os._exit(wait(number, interrupt=os.getsid(0) != 0 and not os.isatty(0)))


def _limit_pids(processes: int) -> None:
    """Limit the number of processes of the container; the limit of each user does not apply to root.

    Since Linux 6.14 pid_max belongs to a PID namespace; before, it belongs to the machine and is not changed.
    """
    version = [int(word) for word in os.uname().release.split("-")[0].split(".")[:2]]
    if version < [6, 14]:
        return
    linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC)
    try:
        # The first 300 are assigned only once. Source: RESERVED_PIDS of the kernel.
        linux.write("/proc/sys/kernel/pid_max", str(max(301, processes)))
    finally:
        linux.unmount("/proc")


def wait(number: int, *, interrupt: bool = False) -> int:
    """Wait for a process, forward signals to it, and reap others.

    Args:
        interrupt: forward SIGINT as well, to the process group, as a terminal does; otherwise a terminal did.

    Returns:
        Its exit status; 128 + N if signal N ended it.
    """
    for signalled in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(signalled, _forward_to(number))
    signal.signal(signal.SIGINT, _interrupt if interrupt else signal.SIG_IGN)
    while True:
        reaped, status = os.wait()
        if reaped == number:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _interrupt(_signalled: int, _frame: object) -> None:
    """Send SIGINT to our process group, except for this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGINT)
    signal.signal(signal.SIGINT, _interrupt)


def _forward_to(number: int) -> Callable[[int, object], None]:
    def forward(signalled: int, _frame: object) -> None:
        os.kill(number, signalled)

    return forward


def _run(program: "ContainerSpec | Program", load_filter: Callable[[], object]) -> "NoReturn":
    for signalled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(signalled, signal.SIG_DFL)
    linux.die_with_parent()
    linux.fresh_keyring()
    if not os.geteuid():
        linux.drop_capabilities()
    linux.no_new_privileges()
    _limit(resource.RLIMIT_NPROC, program.processes)
    _limit(resource.RLIMIT_FSIZE, program.disk)
    _limit(resource.RLIMIT_CORE, 0, always=True)
    load_filter()
    os.chdir(program.cwd)
    _become(program.argv, program.env)


def _limit(resource_type: int, most: int, *, always: bool = False) -> None:
    if most or always:
        hard = resource.getrlimit(resource_type)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource_type, (most, most))


def _become(argv: Sequence[str], env: Mapping[str, str]) -> "NoReturn":
    try:
        os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        os.write(2, f"gentoomuch: cannot start {argv[0]} in the container: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    start(unpack(linux.read(sys.argv[1])), load_filter=seccomp.prepare_filter())
