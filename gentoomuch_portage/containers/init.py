"""The last step into a container, the same for every kind: what is left open is shut, then the program runs.

A second user namespace makes all mounts of the first ones' making unchangeable, even for the root of the box.

Each start of a box waits for what is imported here: no typing, no json, no pathlib.
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

    from gentoomuch_portage.containers.spec import Box


class Program:
    """What is to run, and within which limits; each as ``Box`` has it."""

    def __init__(self, processes: int, disk: int, cwd: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.processes, self.disk, self.cwd, self.argv, self.env = processes, disk, cwd, argv, env


def packed(box: "Box") -> bytes:
    """What ``unpacked`` reads: words with NUL between them, which no word can hold."""
    env = (f"{name}={value}" for name, value in box.env.items())
    return os.fsencode("\0".join((str(box.processes), str(box.disk), box.cwd, str(len(box.argv)), *box.argv, *env)))


def unpacked(told: bytes) -> Program:
    """The program of a box.

    Raises:
        ValueError: ``packed`` has not written that.
    """
    processes, disk, cwd, count, *words = os.fsdecode(told).split("\0")
    argv, env = words[: int(count)], words[int(count) :]
    return Program(int(processes), int(disk), cwd, argv, dict(word.split("=", 1) for word in env))


def start(box: "Box | Program", *, shut: Callable[[], object] = lambda: None) -> "NoReturn":
    """Run the program of a box, as the first process of it or below that; end as it ends.

    Nothing may be imported from here on: Python itself need not be in the box.

    Args:
        shut: puts the filter of system calls in force.
    """
    if box.processes:
        _limit_numbers(box.processes)
    users, groups = linux.every_id()

    def mapped(number: int) -> None:
        linux.write_maps(number, users, groups)

    number = linux.fork(lambda: _run(box, shut), mapped=mapped, flags=linux.NEWUSER | linux.NEWNS)
    os._exit(wait(number))


def _limit_numbers(processes: int) -> None:
    """Limit how many processes the box can number; the limit of each user does not hold for root.

    Since Linux 6.14 pid_max belongs to a pid namespace; before, it is the whole machine's, and left alone.
    """
    version = [int(word) for word in os.uname().release.split("-")[0].split(".")[:2]]
    if version < [6, 14]:
        return
    linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC)
    try:
        # The first 300 are handed out once only. Source: RESERVED_PIDS of the kernel.
        linux.write("/proc/sys/kernel/pid_max", str(max(301, processes)))
    finally:
        linux.unmount("/proc")


def wait(number: int) -> int:
    """Wait for a process, hand signals on to it, and bury others; its status, 128 + N where signal N ended it."""
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(one, _handing_on(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us: the program answers
    while True:
        buried, status = os.wait()
        if buried == number:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _handing_on(number: int) -> Callable[[int, object], None]:
    def hand_on(signalled: int, _frame: object) -> None:
        os.kill(number, signalled)

    return hand_on


def _run(box: "Box | Program", shut: Callable[[], object]) -> "NoReturn":
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(one, signal.SIG_DFL)
    linux.die_with_parent()
    linux.fresh_keyring()
    if not os.geteuid():
        linux.drop_capabilities()
    linux.no_new_privileges()
    _limit(resource.RLIMIT_NPROC, box.processes)
    _limit(resource.RLIMIT_FSIZE, box.disk)
    _limit(resource.RLIMIT_CORE, 0, always=True)
    shut()
    os.chdir(box.cwd)
    _become(box.argv, box.env)


def _limit(what: int, most: int, *, always: bool = False) -> None:
    if most or always:
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _become(argv: Sequence[str], env: Mapping[str, str]) -> "NoReturn":
    try:
        os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        os.write(2, f"gentoomuch: {argv[0]} cannot be started in the container: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    start(unpacked(linux.read(sys.argv[1])), shut=seccomp.filtering())
