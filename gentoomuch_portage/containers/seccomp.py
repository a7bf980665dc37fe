"""System calls that no build needs and that reach beyond a box, refused by the kernel where libseccomp is here.

Source of the choice: what the default profile of podman refuses to a container without CAP_SYS_ADMIN, less what
Portage's own sandboxes are made of (unshare, mount, pivot_root, setns).
"""

import errno
from collections.abc import Callable

REFUSED = (
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module", "fanotify_init",
    "finit_module", "get_kernel_syms", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "move_pages",
    "name_to_handle_at", "nfsservctl", "open_by_handle_at", "perf_event_open", "process_madvise", "quotactl", "reboot",
    "request_key", "settimeofday", "stime", "swapoff", "swapon", "syslog", "userfaultfd", "vhangup", "vm86", "vm86old",
)  # fmt: skip
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
"""Put words into the terminal's input, as if its user had typed them."""


def filtering() -> Callable[[], object]:
    """What puts the filter in force, for this process and all that it starts; does nothing without libseccomp."""
    try:
        import pyseccomp as library
    except (ImportError, RuntimeError):
        return lambda: None
    made = library.SyscallFilter(library.ALLOW)
    refused = library.ERRNO(errno.EPERM)
    for name in REFUSED:
        try:
            made.add_rule(refused, name)
        except (ValueError, RuntimeError, OSError):
            continue  # this architecture has no such call
    for request in (TIOCSTI, TIOCLINUX):
        made.add_rule(refused, "ioctl", library.Arg(1, library.MASKED_EQ, 0xFFFFFFFF, request))
    load: Callable[[], object] = made.load
    return load
