# SPDX-License-Identifier: GPL-2.0-or-later
"""Start our own programs around a container and in it, and check what /proc allows there.

-P: no module is imported from the current directory, which may be an ebuild's; -s: nor from a home directory.
-S: most of our programs need only Python's own modules, and start twice as fast if no others are searched.
"""

import os
import sys
from pathlib import Path

from gentoomuch_portage import startup
from gentoomuch_portage.containers import linux


def command(module: str, python: str = sys.executable, *, standalone: bool = True) -> tuple[str, ...]:
    """Return the beginning of a command line that runs a module of ours.

    Args:
        module: below ``gentoomuch_portage``.
        python: path of the interpreter where the command runs.
        standalone: whether the module needs no installed distribution, such as Portage.
    """
    return (python, "-s", "-P", *(["-S"] if standalone else []), "-m", f"gentoomuch_portage.{module}")


def environment() -> dict[str, str]:
    """Return the environment for a program of ours outside of a container."""
    env = {name: value for name, value in os.environ.items() if not startup.names_code(name)}
    return {**env, "PYTHONPATH": str(import_path())}


def import_path() -> Path:
    """Return the directory that this package is imported from."""
    return Path(__file__).absolute().parents[2]


def can_mount_proc() -> bool:
    """Return whether another /proc can be mounted, as FEATURES=pid-sandbox requires for each phase.

    The kernel refuses it if parts of the container's own /proc are hidden, which a new one would show. Portage takes
    the refusal for the end of the phase. Source: mount_too_revealing of the kernel's fs/namespace.c; _exec2 of
    portage.process.
    """
    number = os.fork()
    if not number:
        status = 1
        try:
            linux.unshare(linux.NEWNS)
            linux.mount("", "/", "", linux.REC | linux.PRIVATE)
            linux.mount("proc", "/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC)
            status = 0
        except OSError:
            pass  # reported by the status
        finally:
            os._exit(status)
    return os.waitpid(number, 0)[1] == 0
