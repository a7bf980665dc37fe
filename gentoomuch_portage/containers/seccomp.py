# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters of system calls that no build needs and that reach beyond a container.

libseccomp is called directly: its Python binding starts two other programs at import to find the library. The list
follows what podman's default profile rejects without CAP_SYS_ADMIN, except for the calls that Portage's own sandboxes
use (unshare, mount, pivot_root, setns).

Without libseccomp, a minimal filter is written out. It rejects only calls that put text into the input of
a terminal, by which a container could make its user's shell run commands.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from gentoomuch_portage.containers import linux

TIOCSTI, TIOCLINUX = 0x5412, 0x541C
"""Put text into the terminal's input, as if its user had typed it."""
_IOCTL = (
    (0xC000003E, 16), (0xC000003E, 0x40000202), (0x40000003, 54), (0xC00000B7, 29), (0x40000028, 54),
    (0xC00000F3, 29), (0x80000015, 54), (0xC0000015, 54),
)  # fmt: skip
"""AUDIT_ARCH_* and its number of ioctl: x86_64, x32, i386, aarch64, arm, riscv64, ppc64 and ppc64le.
x32 has an ioctl of its own.
Source: linux/audit.h, asm/unistd.h, asm/unistd_x32.h."""
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
"""Source: linux/bpf_common.h, BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""
_NUMBER, _ARCH = 0, 4
"""Offsets in struct seccomp_data."""
_ALLOW, _REJECT = 0x7FFF0000, 0x00050000 | errno.EPERM
"""Actions of the kernel. Source: linux/seccomp.h, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO."""


Step = tuple[int, int, int, int]
"""struct sock_filter: code, steps to skip if it is true, steps to skip if it is false, value."""


def minimal_filter() -> tuple[Step, ...]:
    """Return the steps of the filter that is used without libseccomp."""
    second = 24 if sys.byteorder == "little" else 28  # the low half of a call's second argument
    steps = (step for arch, ioctl in _IOCTL for step in _reject_input(arch, ioctl, second))
    return (*steps, (_RETURN, 0, 0, _ALLOW))


def _reject_input(arch: int, ioctl: int, second: int) -> Iterator[Step]:
    yield (_LOAD, 0, 0, _ARCH)
    yield (_EQUAL, 0, 6, arch)
    yield (_LOAD, 0, 0, _NUMBER)
    yield (_EQUAL, 0, 4, ioctl)
    yield (_LOAD, 0, 0, second)
    yield (_EQUAL, 1, 0, TIOCSTI)
    yield (_EQUAL, 0, 1, TIOCLINUX)
    yield (_RETURN, 0, 0, _REJECT)


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def load(steps: Sequence[Step]) -> None:
    """Load a filter for this process and all that it starts.

    Raises:
        OSError: the kernel rejects the filter.
    """
    array = (_Filter * len(steps))(*(_Filter(*step) for step in steps))
    linux.filter_calls(ctypes.byref(_Program(len(steps), array)))


REJECTED = (
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module", "fanotify_init",
    "finit_module", "get_kernel_syms", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "move_pages",
    "name_to_handle_at", "nfsservctl", "open_by_handle_at", "perf_event_open", "process_madvise", "quotactl", "reboot",
    "request_key", "settimeofday", "stime", "swapoff", "swapon", "syslog", "userfaultfd", "vhangup", "vm86", "vm86old",
)  # fmt: skip
_LIBRARY = "libseccomp.so.2"
_MASKED_EQUAL = 7
_UNKNOWN = -1
_COMPATIBLE = {"x86_64": (0x40000003, 0x4000003E), "aarch64": (0x40000028,)}
"""Machine -> the others whose programs run there as well: i386 and x32; arm. Programs of others would be killed.
Source: linux/audit.h, AUDIT_ARCH_*."""


class _Compared(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp.h."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64))


def find_library() -> ctypes.CDLL | None:
    """Return libseccomp if it is installed."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None


def prepare_filter() -> Callable[[], object]:
    """Return the function that loads the filter for this process and all that it starts."""
    library = find_library()
    if library is None:
        return lambda: load(minimal_filter())
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_ALLOW))
    for machine in _COMPATIBLE.get(os.uname().machine, ()):
        library.seccomp_arch_add(context, machine)
    for name in REJECTED:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != _UNKNOWN:
            library.seccomp_rule_add_array(context, _REJECT, number, 0, None)
    ioctl = library.seccomp_syscall_resolve_name(b"ioctl")
    for request in (TIOCSTI, TIOCLINUX):
        compared = _Compared(1, _MASKED_EQUAL, 0xFFFFFFFF, request)
        library.seccomp_rule_add_array(context, _REJECT, ioctl, 1, ctypes.byref(compared))
    return lambda: _load(library, context)


def _load(library: ctypes.CDLL, context: ctypes.c_void_p) -> None:
    """Load the filter of libseccomp.

    Raises:
        OSError: the kernel rejects the filter.
    """
    result = library.seccomp_load(context)
    if result < 0:
        raise OSError(-result, f"seccomp: {os.strerror(-result)}")
