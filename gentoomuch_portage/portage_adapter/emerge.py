"""What /usr/bin/emerge does around emerge_main, done here in the same order.

Source: bin/emerge of Portage 3.0.83.

Emerge's own options, taken from its parser; for completion alone, never for a run.

Portage's own folders.
"""

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from gentoomuch_portage.errors import GmError
from gentoomuch_portage.portage_adapter.patching import swapped

_REMOVING = frozenset({"depclean", "unmerge", "prune", "rage-clean"})
"""Actions of emerge that remove packages."""


class _Interrupted(KeyboardInterrupt):
    """A signal, as a KeyboardInterrupt so that asyncio shows no traceback."""

    def __init__(self, number: int) -> None:
        self.number = number


def speak_utf8() -> None:
    """Start again with UTF-8 where the locale has something else, as emerge does."""
    import locale

    if sys.getfilesystemencoding().lower() != "utf-8" or locale.getpreferredencoding(False).lower() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])


def end_with_reader() -> None:
    """Let a reader that goes away end us without a word, as emerge does."""
    import signal

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def eprefix() -> str:
    """Portage's EPREFIX, without a slash at its end."""
    from portage.const import EPREFIX

    return str(EPREFIX)


def tells(word: str) -> bool:
    """Whether a word may ask for emerge's help or version; ``action`` says for sure."""
    return word in {"--help", "--version"} or (word[:1] == "-" and word[1:2] != "-" and ("h" in word or "V" in word))


def action(words: Iterable[str]) -> str:
    """What emerge takes a command line for: ``version``, ``info``, ``sync``; empty where it installs."""
    from _emerge.main import parse_opts

    return parse_opts(list(words), silent=True)[0] or ""


def asked(words: Iterable[str]) -> tuple[str, frozenset[str], tuple[str, ...]]:
    """What emerge takes a command line for: its action, empty where it installs; its options; its targets."""
    from _emerge.main import parse_opts

    action, options, targets = parse_opts(list(words), silent=True)
    return action or "", frozenset(options), tuple(targets)


def removes(words: Iterable[str]) -> bool:
    """Whether emerge takes a command line for one that removes packages, and does so."""
    from _emerge.main import parse_opts

    asked, options, _ = parse_opts(list(words), silent=True)
    return asked in _REMOVING and "--pretend" not in options


def changes(words: Iterable[str]) -> bool:
    """Whether emerge takes a command line for one that may change what is installed."""
    from _emerge.main import parse_opts

    asked, options, _ = parse_opts(list(words), silent=True)
    return (asked or "") in {"", "clean", "config", *_REMOVING} and "--pretend" not in options


def load() -> None:
    """Import what a run needs; what emerge imports at its start, and nothing else."""
    import portage

    portage._internal_caller = True
    portage._disable_legacy_globals()
    import _emerge.actions  # emerge_main begins with it
    import _emerge.main  # noqa: F401


def emerge(words: Sequence[str], around: AbstractContextManager[object] | None = None) -> int:
    """Run emerge in this process as /usr/bin/emerge would.

    Args:
        words: emerge's command line, without the program's name.
        around: holds as long as emerge runs.

    Returns:
        Emerge's exit status.

    Raises:
        SystemExit: emerge ended so, or one of the errors that bin/emerge itself answers.
        KeyboardInterrupt: a signal ended it; ``ended_by`` finishes the process.
    """
    import signal

    load()
    import portage
    from _emerge.main import emerge_main
    from portage.elog import mod_echo
    from portage.exception import IsADirectory, ParseError, PermissionDenied

    end_with_reader()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGUSR1, _debug)
    portage.process.sanitize_fds()
    sys.argv[0] = "emerge"  # argparse takes its prog from here
    _collect()
    try:
        with around or nullcontext():
            return int(emerge_main(list(words)) or 0)
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
    except Exception:
        import traceback

        shown = traceback.format_exc()
        mod_echo.finalize()  # first, or its messages would hide the traceback
        sys.stderr.write(shown)
        raise SystemExit(1) from None


def ended_by(signalled: KeyboardInterrupt) -> NoReturn:
    """End this process by the signal that ended emerge, so that its parent sees the same."""
    import signal

    number = getattr(signalled, "number", signal.SIGINT)
    signal.signal(number, signal.SIG_DFL)
    sys.stderr.write(f"\n\nExiting on signal {number}\n")
    sys.stderr.flush()
    signal.raise_signal(number)
    raise SystemExit(128 + number)


def close() -> None:
    """Close Portage's event loop, as the last thing."""
    if "portage" in sys.modules:
        from portage.util._eventloop.global_event_loop import global_event_loop

        global_event_loop().close()


def _collect() -> None:
    """Let the garbage collector begin, if it was put off, and never look at what is there by now.

    Imports make no garbage, and looking for it among them takes a fifth of ``emerge -p``.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _interrupt(number: int, _frame: object) -> NoReturn:
    raise _Interrupted(number)


def _debug(_number: int, _frame: object) -> None:
    import pdb  # emerge answers SIGUSR1 with a debugger

    pdb.set_trace()


@dataclass(frozen=True, slots=True)
class EmergeOption:
    """An option of emerge."""

    names: tuple[str, ...]
    """``--ask``, ``-a``; the long ones first."""
    takes: bool
    """Whether a value may follow."""
    choices: tuple[str, ...]
    """The values that it takes, without ``True``, which means none; empty where it takes any."""


class _Built(Exception):
    """Emerge's parser is built."""


def emerge_options() -> list[EmergeOption]:
    """All options of this Portage's emerge, by name.

    Emerge builds its parser within parse_opts, which has no way to hand it out: it is stopped where it
    starts to parse.
    """
    from _emerge import main

    held: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        held.append(parser)
        raise _Built

    parser = argparse.ArgumentParser
    with (
        swapped(parser, "parse_intermixed_args", stop),
        swapped(parser, "parse_args", stop),
        contextlib.suppress(_Built),
    ):
        main.parse_opts([])
    return sorted(_gathered(held[0]), key=lambda one: one.names)


def _gathered(parser: argparse.ArgumentParser) -> list[EmergeOption]:
    """One for each meaning: emerge adds the short name of a switch as an option of its own."""
    meant: dict[str, list[argparse.Action]] = {}
    for action in parser._actions:
        if action.option_strings:
            meant.setdefault(action.dest, []).append(action)
    return [
        EmergeOption(
            names=tuple(
                sorted((name for one in actions for name in one.option_strings), key=lambda name: (-len(name), name))
            ),
            takes=any(one.nargs != 0 for one in actions),
            choices=tuple(str(one) for action in actions for one in action.choices or () if one != "True"),
        )
        for actions in meant.values()
    ]


def emaint_modules() -> Path:
    """Where emaint looks for its modules. Source: bin/emaint of Portage."""
    import portage

    return Path(portage.__file__).parent / "emaint/modules"
