"""System calls that no build needs and that reach beyond a box, refused by the kernel where libseccomp is here.

The library is called as it is: its binding for Python asks two other programs where it lies, at each start.

Source of the choice: what the default profile of podman refuses to a container without CAP_SYS_ADMIN, less what
Portage's own sandboxes are made of (unshare, mount, pivot_root, setns).
"""

import ctypes
import errno
import os
from collections.abc import Callable

from gentoomuch_portage.containers import least
from gentoomuch_portage.containers.least import TIOCLINUX, TIOCSTI

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
        return lambda: least.load(least.steps())
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
