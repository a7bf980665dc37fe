"""System calls that no build needs and that reach beyond a box, refused by the kernel where libseccomp is here.

The library is called as it is: its binding for Python asks two other programs where it lies, at each start.

Source of the choice: what the default profile of podman refuses to a container without CAP_SYS_ADMIN, less what
Portage's own sandboxes are made of (unshare, mount, pivot_root, setns).

The least filter of system calls, written out for the kernel: what libseccomp is not here to make.

It refuses to put words into a terminal's input, by which a box could have its user's shell do something afterwards.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from gentoomuch_portage.containers import linux

TIOCSTI, TIOCLINUX = 0x5412, 0x541C
"""Put words into the terminal's input, as if its user had typed them."""
_IOCTL = (
    (0xC000003E, 16), (0xC000003E, 0x40000202), (0x40000003, 54), (0xC00000B7, 29), (0x40000028, 54),
    (0xC00000F3, 29), (0x80000015, 54), (0xC0000015, 54),
)  # fmt: skip
"""AUDIT_ARCH_* and the number of ioctl there: x86_64, x32, i386, aarch64, arm, riscv64, ppc64 and ppc64le.
x32 has an ioctl of its own.
Source: linux/audit.h, asm/unistd.h, asm/unistd_x32.h."""
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
"""Source: linux/bpf_common.h, BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""
_NUMBER, _ARCH = 0, 4
"""Where they stand in struct seccomp_data."""
_ALLOW_LEAST, _REFUSE_LEAST = 0x7FFF0000, 0x00050000 | errno.EPERM


Step = tuple[int, int, int, int]
"""struct sock_filter: code, how many are left out where it is so and where not, value."""


def steps() -> tuple[Step, ...]:
    """The filter."""
    second = 24 if sys.byteorder == "little" else 28  # the low half of a call's second argument
    return (*(one for arch, ioctl in _IOCTL for one in _refusing(arch, ioctl, second)), (_RETURN, 0, 0, _ALLOW_LEAST))


def _refusing(arch: int, ioctl: int, second: int) -> Iterator[Step]:
    yield (_LOAD, 0, 0, _ARCH)
    yield (_EQUAL, 0, 6, arch)
    yield (_LOAD, 0, 0, _NUMBER)
    yield (_EQUAL, 0, 4, ioctl)
    yield (_LOAD, 0, 0, second)
    yield (_EQUAL, 1, 0, TIOCSTI)
    yield (_EQUAL, 0, 1, TIOCLINUX)
    yield (_RETURN, 0, 0, _REFUSE_LEAST)


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def load(found: Sequence[Step]) -> None:
    """Hand a filter to the kernel, for this process and all that it starts.

    Raises:
        OSError: it takes none.
    """
    array = (_Filter * len(found))(*(_Filter(*step) for step in found))
    linux.filter_calls(ctypes.byref(_Program(len(found), array)))


REFUSED = (
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module", "fanotify_init",
    "finit_module", "get_kernel_syms", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "move_pages",
    "name_to_handle_at", "nfsservctl", "open_by_handle_at", "perf_event_open", "process_madvise", "quotactl", "reboot",
    "request_key", "settimeofday", "stime", "swapoff", "swapon", "syslog", "userfaultfd", "vhangup", "vm86", "vm86old",
)  # fmt: skip
_LIBRARY = "libseccomp.so.2"
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_MASKED_EQUAL = 7
_UNKNOWN = -1
_BESIDES = {"x86_64": (0x40000003, 0x4000003E), "aarch64": (0x40000028,)}
"""Machine -> the others whose programs run there as well: i386 and x32; arm. What is not named would be killed.
Source: linux/audit.h, AUDIT_ARCH_*."""


class _Compared(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp.h."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64))


def found() -> ctypes.CDLL | None:
    """Libseccomp, where it is here."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None


def filtering() -> Callable[[], object]:
    """What puts the filter in force, for this process and all that it starts; the least one without libseccomp."""
    library = found()
    if library is None:
        return lambda: load(steps())
    library.seccomp_init.restype = ctypes.c_void_p
    made = ctypes.c_void_p(library.seccomp_init(_ALLOW))
    for machine in _BESIDES.get(os.uname().machine, ()):
        library.seccomp_arch_add(made, machine)
    for name in REFUSED:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != _UNKNOWN:
            library.seccomp_rule_add_array(made, _REFUSE, number, 0, None)
    ioctl = library.seccomp_syscall_resolve_name(b"ioctl")
    for request in (TIOCSTI, TIOCLINUX):
        compared = _Compared(1, _MASKED_EQUAL, 0xFFFFFFFF, request)
        library.seccomp_rule_add_array(made, _REFUSE, ioctl, 1, ctypes.byref(compared))
    return lambda: _load(library, made)


def _load(library: ctypes.CDLL, made: ctypes.c_void_p) -> None:
    """Hand the filter to the kernel, which keeps it.

    Raises:
        OSError: it takes none.
    """
    done = library.seccomp_load(made)
    if done < 0:
        raise OSError(-done, f"seccomp: {os.strerror(-done)}")
