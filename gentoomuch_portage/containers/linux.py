"""What Python 3.11 does not offer of Linux: namespaces, mounts, and a process's own chains.

Each function raises OSError with what the kernel says. Source: the manual pages of section 2 that they are named by.
Files are read and written without pathlib, whose import each start of a box would wait for.
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
TRY = "gentoomuch:     try: "
"""How a line begins that says what helps."""
KEPT = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE",
    "NET_ADMIN", "SYS_CHROOT", "SYS_ADMIN", "SYS_NICE", "SETFCAP",
)  # fmt: skip
"""Capabilities that Portage needs: to own files and drop to its users; to make its own sandboxes (SYS_ADMIN for
namespaces, NET_ADMIN for their loopback)."""
_NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "SYS_CHROOT": 18, "SYS_ADMIN": 21, "SYS_NICE": 23, "SETFCAP": 31,
}  # fmt: skip
_SECCOMP, _FILTER = 22, 2
_PDEATHSIG, _CAPBSET_READ, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 23, 24, 38
_KEYCTL = {"x86_64": 250, "aarch64": 219, "ppc64le": 271, "riscv64": 219}
_MOUNT_SETATTR, _RECURSIVE = 442, 0x8000
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "riscv64": 41}
_SIOCSIFFLAGS, _UP = 0x8914, 0x1 | 0x40
_INET, _DGRAM = 2, 2

Map = Sequence[tuple[int, int, int]]
"""Lines of a uid_map: first inside, first outside, how many."""


def _call(name: str, *asked: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    done = int(getattr(libc, name)(*asked))
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return done


def read(file: str) -> bytes:
    """A file whole."""
    with open(file, "rb") as opened:  # noqa: PTH123 - see above
        return opened.read()


def write(file: str, text: str) -> None:
    """A file that is there, in one write, as the kernel wants it."""
    with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123 - see above
        opened.write(text)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _call("unshare", flags)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mount something."""
    try:
        _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error


def restrict(target: str, flags: int, *, below: bool = True) -> None:
    """Add RDONLY, NOSUID, NODEV or NOEXEC to a mount, and to all below it; what is there stays."""
    given = ctypes.create_string_buffer(struct.pack("QQQQ", flags & 0xF, 0, 0, 0))
    _call("syscall", _MOUNT_SETATTR, -100, target.encode(), _RECURSIVE if below else 0, given, 32)


def unmount(target: str) -> None:
    """Take a mount away from this namespace, and from nowhere else."""
    _call("umount2", target.encode(), DETACH)


def pivot_root(new: str, old: str) -> None:
    """Make a mount the root of this namespace."""
    _call("syscall", _PIVOT_ROOT[os.uname().machine], new.encode(), old.encode())


def die_with_parent(number: int = 0) -> None:
    """Be killed when the parent ends, however it ends.

    Args:
        number: the parent's; if that has ended before, the kernel watches another, and this process ends at once.
    """
    _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if number and os.getppid() != number:
        os._exit(128 + signal.SIGKILL)


def no_new_privileges() -> None:
    """From here on no program gains rights by being started."""
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)


def filter_calls(program: object) -> None:
    """Let the kernel hold each system call against a filter, for this process and all that it starts.

    Args:
        program: a reference to a struct sock_fprog.
    """
    _call("prctl", _SECCOMP, _FILTER, program, 0, 0)


def drop_capabilities(kept: Sequence[str] = KEPT) -> None:
    """Give away all capabilities but these, for good."""
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
    """Leave the session's keys behind."""
    if number := _KEYCTL.get(os.uname().machine):
        try:
            _call("syscall", number, 1, 0)
        except OSError:
            return  # a kernel without keys has none to give away


def hostname(name: str) -> None:
    """Name a UTS namespace of our own."""
    _call("sethostname", name.encode(), ctypes.c_size_t(len(name.encode())))


def loopback() -> None:
    """Bring up ``lo`` of a network namespace of our own."""
    made = _call("socket", _INET, _DGRAM, 0)
    try:
        _call("ioctl", made, ctypes.c_ulong(_SIOCSIFFLAGS), struct.pack("16sh22x", b"lo", _UP))
    finally:
        os.close(made)


def fork(
    child: Callable[[], object],
    *,
    mapped: Callable[[int], None] | None = None,
    flags: int = 0,
    as_root: bool = False,
) -> int:
    """Start a process that leaves for new namespaces and then does something; it is killed when we end.

    Args:
        child: what it does; when that returns, the process ends with 0, and with 70 where it raises.
        mapped: given the process's number once it is there, writes its user maps; needed for NEWUSER.
        flags: the namespaces.
        as_root: it becomes root, who it may be by its maps, before.

    Returns:
        The process's number.
    """
    there, arrived = os.pipe()
    awaited, go = os.pipe()
    number = os.fork()
    if not number:
        os.close(there)
        os.close(go)
        _leave(child, flags, arrived, awaited, as_root=as_root)
    os.close(arrived)
    os.close(awaited)
    try:
        if os.read(there, 1) and mapped is not None:
            mapped(number)
        os.write(go, b"x")
    except BrokenPipeError:
        pass  # it has ended, and its status tells how
    except BaseException:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        raise
    finally:
        os.close(there)  # and ``go`` stays: the kernel closes it with us, by which the child sees that we are gone
    return number


def _leave(child: Callable[[], object], flags: int, arrived: int, awaited: int, *, as_root: bool) -> None:
    status = 70
    try:
        if flags:
            unshare(flags)
        os.write(arrived, b"x")
        if os.read(awaited, 1):
            if as_root and os.geteuid():  # first: the kernel forgets whom it watches where a process changes its user
                os.setresgid(0, 0, 0)
                os.setresuid(0, 0, 0)
            die_with_parent()
            if not select.select([awaited], [], [], 0)[0]:  # or it died before the kernel was told to watch it
                os.close(arrived)
                os.close(awaited)
                child()
                status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 70
    except OSError as error:
        os.write(2, f"gentoomuch: the container could not be made: {error}\n{TRY}gentoomuch doctor\n".encode())
    except BaseException:
        sys.__excepthook__(*sys.exc_info())  # the interpreter's own: traceback may not be there to import any more
    finally:
        os._exit(status)


def write_maps(number: int, users: Map, groups: Map) -> None:
    """Write the maps of a process's new user namespace, as one who may."""
    for name, lines in (("uid_map", users), ("gid_map", groups)):
        if name == "gid_map" and os.geteuid():
            write(f"/proc/{number}/setgroups", "deny")
        text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in lines)
        write(f"/proc/{number}/{name}", text)


def every_id() -> tuple[Map, Map]:
    """The maps that change no number, of all that this namespace has."""
    found = []
    for name in ("uid_map", "gid_map"):
        lines = read(f"/proc/self/{name}").splitlines()
        parted = [line.split() for line in lines if line]
        found.append([(int(one[0]), int(one[0]), int(one[2])) for one in parted])
    return found[0], found[1]
