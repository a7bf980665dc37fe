# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls of Linux that Python 3.11 lacks: namespaces, mounts, and restrictions of a process.

Each function raises OSError with the kernel's reason. Source: the manual pages of section 2 with their names.
Files are read and written without pathlib, as each start of a container would wait for its import.
"""

import ctypes
import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Sequence

NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, MOVE, REC, PRIVATE, SLAVE = (
    1, 2, 4, 8, 32, 4096, 8192, 16384, 1 << 18, 1 << 19,
)  # fmt: skip
DETACH = 2
HINT_PREFIX = "gentoomuch:     hint: "
"""The beginning of a line with a hint."""
KEPT_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE",
    "NET_ADMIN", "SYS_CHROOT", "SYS_ADMIN", "SYS_NICE", "SETFCAP",
)  # fmt: skip
"""Capabilities that Portage needs: to own files and to become its users; to create its own sandboxes (SYS_ADMIN for
namespaces, NET_ADMIN for their loopback)."""
_NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "SYS_CHROOT": 18, "SYS_ADMIN": 21, "SYS_NICE": 23, "SETFCAP": 31,
}  # fmt: skip
_SECCOMP, _FILTER = 22, 2
_PDEATHSIG, _CAPBSET_READ, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 23, 24, 38
_KEYCTL = {"x86_64": 250, "aarch64": 219, "ppc64le": 271, "riscv64": 219}
_MOUNT_SETATTR, _RECURSIVE = 442, 0x8000
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "ppc64le": 357, "riscv64": 276}
_RENAME_EXCHANGE = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "riscv64": 41}
_SIOCSIFFLAGS, _UP = 0x8914, 0x1 | 0x40
_INET, _DGRAM = 2, 2
_LIBC = ctypes.CDLL(None, use_errno=True)

Map = Sequence[tuple[int, int, int]]
"""Lines of a uid_map: first ID inside, first ID outside, count."""


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_LIBC, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def read(file: str) -> bytes:
    """Return the content of a file."""
    with open(file, "rb") as opened:  # noqa: PTH123 - see above
        return opened.read()


def write(file: str, text: str) -> None:
    """Write to an existing file in one write, as the kernel requires."""
    with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123 - see above
        opened.write(text)


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _call("unshare", flags)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mount a file system, or change a mount."""
    try:
        _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error


def restrict(target: str, flags: int, *, below: bool = True) -> None:
    """Add RDONLY, NOSUID, NODEV or NOEXEC to a mount, and to all mounts below it."""
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", flags & 0xF, 0, 0, 0))
    _call("syscall", _MOUNT_SETATTR, -100, target.encode(), _RECURSIVE if below else 0, attributes, 32)


def unmount(target: str) -> None:
    """Unmount a file system in this namespace only."""
    _call("umount2", target.encode(), DETACH)


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root of this mount namespace."""
    _call("syscall", _PIVOT_ROOT[os.uname().machine], new.encode(), old.encode())


def exchange(first: str, second: str) -> None:
    """Exchange the names of two files or directories of one file system, atomically.

    Source: renameat2(2), RENAME_EXCHANGE; EINVAL means that the file system cannot do it.
    """
    number = _RENAMEAT2[os.uname().machine]
    _call("syscall", number, -100, os.fsencode(first), -100, os.fsencode(second), _RENAME_EXCHANGE)


def sync(path: str) -> None:
    """Wait until the disk has all that was written to the file system of a path."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("syncfs", number)
    finally:
        os.close(number)


def die_with_parent(number: int = 0) -> None:
    """Let the kernel kill this process when its parent ends.

    Args:
        number: the expected parent; if it has ended already, this process ends at once.
    """
    _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if number and os.getppid() != number:
        os._exit(128 + signal.SIGKILL)


def no_new_privileges() -> None:
    """Prevent this process and its children from gaining privileges by starting a program."""
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)


def filter_calls(program: object) -> None:
    """Filter the system calls of this process and all that it starts.

    Args:
        program: a reference to a struct sock_fprog.
    """
    _call("prctl", _SECCOMP, _FILTER, program, 0, 0)


def drop_capabilities(kept: Sequence[str] = KEPT_CAPABILITIES) -> None:
    """Drop all capabilities except these, permanently."""
    numbers = {_NUMBERS[name] for name in kept}
    last = int(read("/proc/sys/kernel/cap_last_cap"))
    for number in range(last + 1):
        if number not in numbers and _call("prctl", _CAPBSET_READ, number, 0, 0, 0):
            _call("prctl", _CAPBSET_DROP, number, 0, 0, 0)
    _capset(sum(1 << number for number in numbers) & _permitted())


def _permitted() -> int:
    lines = read("/proc/self/status").split(b"\n")
    return int(next(line.split()[1] for line in lines if line.startswith(b"CapPrm:")), 16)


def _capset(wanted: int) -> None:
    header = struct.pack("Ii", 0x20080522, 0)
    low, high = wanted & 0xFFFFFFFF, wanted >> 32
    _call("capset", header, struct.pack("IIIIII", low, low, 0, high, high, 0))


def fresh_keyring() -> None:
    """Join a new session keyring."""
    if number := _KEYCTL.get(os.uname().machine):
        try:
            _call("syscall", number, 1, 0)
        except OSError:
            return  # a kernel without keyrings


def hostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    _call("sethostname", name.encode(), ctypes.c_size_t(len(name.encode())))


def loopback() -> None:
    """Bring up ``lo`` of this network namespace."""
    number = _call("socket", _INET, _DGRAM, 0)
    try:
        _call("ioctl", number, ctypes.c_ulong(_SIOCSIFFLAGS), struct.pack("16sh22x", b"lo", _UP))
    finally:
        os.close(number)


def fork(
    child: Callable[[], object],
    *,
    mapped: Callable[[int], None] | None = None,
    flags: int = 0,
    as_root: bool = False,
) -> int:
    """Start a process in new namespaces; it is killed when this process ends.

    Args:
        child: its code; when that returns, the process ends with 0; with 70 if it raises.
        mapped: writes the user maps of the process with this PID; required for NEWUSER.
        flags: the namespaces.
        as_root: become root, as the maps allow, before ``child`` is called.

    Returns:
        The PID of the process.
    """
    is_ready, ready = os.pipe()
    start, go = os.pipe()
    number = os.fork()
    if not number:
        os.close(is_ready)
        os.close(go)
        _leave(child, flags, ready, start, as_root=as_root)
    os.close(ready)
    os.close(start)
    try:
        if os.read(is_ready, 1) and mapped is not None:
            mapped(number)
        os.write(go, b"x")
    except BrokenPipeError:
        pass  # it has ended, and its status has the reason
    except BaseException:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        raise
    finally:
        os.close(is_ready)  # ``go`` stays open: the kernel closes it with this process, which the child can see
    return number


def _leave(child: Callable[[], object], flags: int, ready: int, start: int, *, as_root: bool) -> None:
    status = 70
    try:
        if flags:
            unshare(flags)
        os.write(ready, b"x")
        if os.read(start, 1):
            if as_root and os.geteuid():  # first: the kernel clears the death signal when a process changes its user
                os.setresgid(0, 0, 0)
                os.setresuid(0, 0, 0)
            die_with_parent()
            if not select.select([start], [], [], 0)[0]:  # or the parent ended before the signal was set
                os.close(ready)
                os.close(start)
                child()
                status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 70
    except OSError as error:
        os.write(2, f"gentoomuch: cannot create the container: {error}\n{HINT_PREFIX}gentoomuch doctor\n".encode())
    except BaseException:
        sys.__excepthook__(*sys.exc_info())  # built in: the traceback module may no longer exist
    finally:
        os._exit(status)


def write_maps(number: int, users: Map, groups: Map) -> None:
    """Write the maps of a process's new user namespace, with the privilege to do so."""
    for name, lines in (("uid_map", users), ("gid_map", groups)):
        if name == "gid_map" and os.geteuid():
            write(f"/proc/{number}/setgroups", "deny")
        text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in lines)
        write(f"/proc/{number}/{name}", text)


def every_id() -> tuple[Map, Map]:
    """Return the maps that map every ID of this namespace to itself."""
    maps = []
    for name in ("uid_map", "gid_map"):
        lines = read(f"/proc/self/{name}").splitlines()
        fields = [line.split() for line in lines if line]
        maps.append([(int(first), int(first), int(count)) for first, _, count in fields])
    return maps[0], maps[1]
