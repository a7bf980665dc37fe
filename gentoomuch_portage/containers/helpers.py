"""How programs of ours are started around a box and in it.

-P: nothing is imported from the folder that one happens to stand in, which may be an ebuild's. -S: most need nothing
but Python's own modules, and starting takes half as long without looking for others.

Whether what runs in a box can have a /proc of its own, as FEATURES=pid-sandbox wants one for each phase.
"""

import os
import sys
from pathlib import Path

from gentoomuch_portage.containers import linux


def words(module: str, python: str = sys.executable, *, alone: bool = True) -> tuple[str, ...]:
    """The beginning of a command line.

    Args:
        module: below ``gentoomuch_portage``.
        python: the interpreter, by its path where it runs.
        alone: it needs no modules that are installed, as Portage's.
    """
    return (python, "-P", *(["-S"] if alone else []), "-m", f"gentoomuch_portage.{module}")


def environment() -> dict[str, str]:
    """Our own environment, for a program of ours outside of a box."""
    return {**os.environ, "PYTHONPATH": str(home())}


def home() -> Path:
    """The folder that we are imported from."""
    return Path(__file__).absolute().parents[2]


def another() -> bool:
    """Whether the kernel mounts another /proc here: not where parts of the box's own are shut, which it would open.

    Portage takes a refusal for the end of the phase. Source: mount_too_revealing of the kernel's fs/namespace.c;
    _exec2 of portage.process.
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
            pass  # the status tells
        finally:
            os._exit(status)
    return os.waitpid(number, 0)[1] == 0
