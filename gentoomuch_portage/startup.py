# SPDX-License-Identifier: GPL-2.0-or-later
"""The first and the last step of each of our programs; it imports only modules that plain emerge needs as well.

Source, for UTF-8 and signals: bin/emerge of Portage 3.0.83.
"""

import atexit
import importlib
import locale
import os
import signal
import sys
from typing import Any, NoReturn

_HARMLESS = frozenset(
    {"PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONUTF8"}
)
"""Variables of the interpreter that name no code."""


def prepare() -> None:
    """Reset inherited settings by which other users could choose the code that runs or change written files."""
    os.umask(os.umask(0o022) | 0o022)
    if is_isolated():
        for name in [name for name in os.environ if names_code(name)]:
            del os.environ[name]  # programs that we start would use it


def is_isolated() -> bool:
    """Return whether this is root with an interpreter that ignores the caller's environment (``-I``)."""
    return bool(sys.flags.isolated) and not os.geteuid()


def python(module: str) -> tuple[str, ...]:
    """Return the beginning of a command line that runs a module of ours, isolated if this process is."""
    return (sys.executable, "-I" if is_isolated() else "-P", "-m", f"gentoomuch_portage.{module}")


def names_code(name: str) -> bool:
    """Return whether a variable can make Python run code; PYTHON_TARGETS is Gentoo's."""
    return name.startswith("PYTHON") and name[6:7].isalpha() and name not in _HARMLESS


def speak_utf8() -> None:
    """Restart Python with UTF-8 if the locale has another encoding, as emerge does."""
    if sys.getfilesystemencoding().lower() != "utf-8" or locale.getpreferredencoding(False).lower() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def end_with_reader() -> None:
    """End quietly if the reader of a pipe has closed it, as emerge does."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def ended_by(signalled: KeyboardInterrupt) -> NoReturn:
    """End this process by the signal that ended emerge, so that its parent sees the same."""
    number = getattr(signalled, "number", signal.SIGINT)
    signal.signal(number, signal.SIG_DFL)
    sys.stderr.write(f"\n\nExiting on signal {number}\n")
    sys.stderr.flush()
    signal.raise_signal(number)
    raise SystemExit(128 + number)


def end(status: int) -> NoReturn:
    """End this process as ``sys.exit`` does, but leave its memory to the kernel.

    The interpreter would first delete each object, which costs a tenth of a short run. Functions registered with
    atexit run, and output is flushed. Where that fails, or while another thread runs, the interpreter ends as always.
    """
    run_exit_functions = getattr(atexit, "_run_exitfuncs", None)  # as multiprocessing calls it in its children
    threading = sys.modules.get("threading")
    if run_exit_functions is None or (threading and threading.active_count() > 1):
        sys.exit(status)
    run_exit_functions()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(status)  # which reports that output is lost
    os._exit(status)


class LazyModule:
    """A module that is imported when one of its names is first used, as ``lazy import`` of PEP 810 does.

    It is for modules that are slow to import and that most runs do not need. Type checkers and the contract of layers
    need the real import beside it::

        if TYPE_CHECKING:
            from gentoomuch_portage.isa import machine
        else:
            machine = LazyModule("gentoomuch_portage.isa.machine")
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module, and return the value of one of its names."""
        return getattr(importlib.import_module(self._name), attribute)
