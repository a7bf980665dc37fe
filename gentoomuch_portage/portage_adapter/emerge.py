# SPDX-License-Identifier: GPL-2.0-or-later
"""Run emerge in this process, with the same steps in the same order as /usr/bin/emerge.

Source: bin/emerge of Portage 3.0.83.
"""

import errno
import gc
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import _emerge.actions  # noqa: F401 - emerge_main imports it first
import portage
from _emerge.main import emerge_main
from portage.elog import mod_echo
from portage.exception import IsADirectory, ParseError, PermissionDenied, ReadOnlyFileSystem
from portage.util._eventloop.global_event_loop import global_event_loop

from gentoomuch_portage.errors import NO_ROOM, GmError, full_place, is_without_temporary_folder, refused
from gentoomuch_portage.startup import end_with_reader

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

FindCause = Callable[[BaseException | None], GmError | None]
"""Return our own error for an exception of Portage, or None."""
_PATH = re.compile(r"'(/[^']*)'")
"""In an exception of Portage for a read-only file system: ``open('/usr')``, ``[Errno 30] ...: '/usr'``."""


class _Ended(SystemExit):
    """Ends emerge from within its event loop, which passes on no other exception.

    Attributes:
        error: what to report.
    """

    def __init__(self, error: GmError) -> None:
        super().__init__(error.status)
        self.error = error


class _Interrupted(KeyboardInterrupt):
    """A signal, as a KeyboardInterrupt so that asyncio shows no traceback."""

    def __init__(self, number: int) -> None:
        self.number = number


def may_print_help(argument: str) -> bool:
    """Whether an argument may ask for emerge's help or version; ``emerge_arguments`` decides."""
    short = argument[:1] == "-" and argument[1:2] != "-"
    return argument in {"--help", "--version"} or (short and ("h" in argument or "V" in argument))


def load() -> None:
    """Prepare Portage as emerge does at its start."""
    if hasattr(portage, "_internal_caller"):
        portage._internal_caller = True
    _call_if_provided(portage, "_disable_legacy_globals")


def _call_if_provided(module: ModuleType, name: str) -> None:
    """Call a function of Portage; see ``private_api.START``."""
    if function := getattr(module, name, None):
        function()


def emerge(
    words: Sequence[str], *, find_cause: FindCause | None = None, list_written: Callable[[], Iterable[str]] = tuple
) -> int:
    """Run emerge in this process as /usr/bin/emerge would.

    Args:
        words: emerge's command line, without the program's name.
        find_cause: finds our own error for an exception of Portage. None for plain emerge, which prints a traceback.
        list_written: lists the directories that emerge writes to; with ``find_cause``, our own error is raised if one
            is full or read-only.

    Returns:
        Emerge's exit status.

    Raises:
        SystemExit: emerge raised it, or an error that bin/emerge reports.
        KeyboardInterrupt: a signal ended it; ``ended_by`` finishes the process.
    """
    load()
    end_with_reader()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGUSR1, _debug)
    _call_if_provided(portage.process, "sanitize_fds")
    sys.argv[0] = "emerge"  # argparse takes its prog from here
    _collect()
    explain = None if find_cause is None else partial(_explain, find_cause, list_written)
    if explain is not None:
        _raise_from_event_loop(explain)
    try:
        return int(emerge_main(list(words)) or 0)
    except _Ended as ended:
        mod_echo.finalize()
        raise ended.error from ended
    except PermissionDenied as error:
        sys.stderr.write(f"Permission denied: '{error!s}'\n")
        raise SystemExit(error.errno) from error
    except IsADirectory as error:
        sys.stderr.write(
            f"'{error!s}' is a directory, but should be a file!\n"
            "See portage man page for information on which files may be directories.\n"
        )
        raise SystemExit(error.errno) from error
    except ParseError as error:
        sys.stderr.write(f"{error!s}\n")
        raise SystemExit(1) from error
    except GmError:
        raise
    except Exception as error:
        if explain is not None and (explained := explain(error)):
            mod_echo.finalize()
            raise explained from error
        shown = traceback.format_exc()
        mod_echo.finalize()  # first, or its messages would hide the traceback
        sys.stderr.write(shown)
        raise SystemExit(1) from None


def _raise_from_event_loop(explain: FindCause) -> None:
    """Let the event loop end emerge with our error for an exception of a callback.

    Portage's own handler prints a traceback and sends SIGTERM to its process.
    """
    loop = getattr(global_event_loop(), "_loop", None)
    if loop is None:
        return  # private_api.ERRORS
    plain = loop.get_exception_handler()

    def handle(loop: "AbstractEventLoop", context: dict[str, Any]) -> None:
        if explained := explain(context.get("exception")):
            raise _Ended(explained)
        if plain is None:
            loop.default_exception_handler(context)
        else:
            plain(loop, context)

    loop.set_exception_handler(handle)


def _explain(
    find_cause: FindCause, list_written: Callable[[], Iterable[str]], error: BaseException | None
) -> GmError | None:
    """Return our own error for an exception of Portage, or of a full or read-only file system; None for others."""
    if known := find_cause(error):
        return known
    cause = _missing_room(error)
    return refused(cause, full_place(filter(None, list_written()))) if cause else None


def _missing_room(error: BaseException | None) -> OSError | None:
    """Return the error of an exception due to a full or read-only file system; None for other exceptions."""
    if isinstance(error, ReadOnlyFileSystem):
        named = _PATH.search(str(error))
        return OSError(errno.EROFS, os.strerror(errno.EROFS), named[1] if named else None)
    if isinstance(error, OSError) and (error.errno in NO_ROOM or is_without_temporary_folder(error)):
        return error
    return None


def close() -> None:
    """Close Portage's event loop; to be called last."""
    global_event_loop().close()


def _collect() -> None:
    """Enable the garbage collector if it was disabled, and exclude all existing objects from it.

    Imported modules are not garbage, and checking them takes a fifth of the time of ``emerge -p``.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _interrupt(number: int, _frame: object) -> NoReturn:
    raise _Interrupted(number)


def _debug(_number: int, _frame: object) -> None:
    """Start the debugger, as emerge does."""
    breakpoint()
