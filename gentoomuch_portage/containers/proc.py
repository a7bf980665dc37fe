"""Whether what runs in a box can have a /proc of its own, as FEATURES=pid-sandbox wants one for each phase."""

import os

from gentoomuch_portage.containers import kernel


def another() -> bool:
    """Whether the kernel mounts another /proc here: not where parts of the box's own are shut, which it would open.

    Portage takes a refusal for the end of the phase. Source: mount_too_revealing of the kernel's fs/namespace.c;
    _exec2 of portage.process.
    """
    number = os.fork()
    if not number:
        status = 1
        try:
            kernel.unshare(kernel.NEWNS)
            kernel.mount("", "/", "", kernel.REC | kernel.PRIVATE)
            kernel.mount("proc", "/proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
            status = 0
        except OSError:
            pass  # the status tells
        finally:
            os._exit(status)
    return os.waitpid(number, 0)[1] == 0
