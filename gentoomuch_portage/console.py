# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard streams: results on stdout, messages and progress on stderr. The only module that prints."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage.errors import BadFile, GmError, StdoutWriteFailed

if TYPE_CHECKING:
    from gentoomuch_portage.plan.plan import Plan


def reopen_closed_streams() -> None:
    """Reopen closed standard streams on /dev/null, so that no later file gets descriptor 0, 1 or 2.

    ``sys.__stdout__`` is replaced as well: Portage writes to it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            opened = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open
            setattr(sys, name, opened)
            setattr(sys, f"__{name}__", opened)


def find_columns() -> int | None:
    """Return the width of the terminal that shows results; None if they go elsewhere."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


@contextmanager
def _writing_stdout() -> Iterator[None]:
    """Turn a failed write to stdout into an error, and drop what is buffered: Python would write it again at exit.

    Raises:
        StdoutWriteFailed: stdout cannot be written.
    """
    try:
        yield
    except OSError as failure:
        with Path(os.devnull).open("w") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())
        raise StdoutWriteFailed((failure.strerror or "unknown error").lower()) from failure


def print_result(text: str = "") -> None:
    """Print a line of the result to stdout.

    Raises:
        StdoutWriteFailed: stdout cannot be written.
    """
    with _writing_stdout():
        sys.stdout.write(f"{text}\n")


def print_results(lines: Iterable[str]) -> None:
    """Print each line of the result to stdout; print nothing if there is none."""
    for line in lines:
        print_result(line)


def print_json(data: Any) -> None:
    """Print data as JSON to stdout."""
    print_result(json.dumps(data, indent=2, sort_keys=True, default=str))


def move_stdout_to_stderr() -> int:
    """Redirect later output on stdout, that of Portage included, to stderr.

    Returns:
        A descriptor of the former stdout.
    """
    sys.stdout.flush()
    former = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return former


@contextmanager
def results_apart(*, apart: bool) -> Iterator[None]:
    """Redirect stdout to stderr while the block runs, if ``apart``: only what is printed later is the result."""
    if not apart:
        yield
        return
    former = move_stdout_to_stderr()
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(former, sys.stdout.fileno())
        os.close(former)


def flush() -> None:
    """Flush stdout, for a command that runs until it is stopped.

    Raises:
        StdoutWriteFailed: stdout cannot be written.
    """
    with _writing_stdout():
        sys.stdout.flush()


def info(text: str) -> None:
    """Print a message to stderr."""
    sys.stderr.write(f"{text}\n")


def warning(text: str, hint: str = "") -> None:
    """Print a message, and a hint if there is one, to stderr, marked as ours in yellow."""
    info(f"{_colour('33', 'gentoomuch:', sys.stderr)} {text}")
    if hint:
        info(f"{_colour('33', 'gentoomuch:', sys.stderr)}     hint: {hint}")


def error(failure: GmError, *, as_json: bool = False) -> int:
    """Print an error with its code and hint.

    Args:
        as_json: print an object to stdout instead of text to stderr.

    Returns:
        The exit status of the error.
    """
    data = {"error": failure.code, "message": failure.message, "hint": failure.hint}
    if as_json and not isinstance(failure, StdoutWriteFailed) and _try_json(data):
        return failure.status
    info(f"{_colour('31', 'gentoomuch:', sys.stderr)} {failure.message}  [{failure.code}]")
    for other in failure.others if isinstance(failure, BadFile) else ():
        info(f"{_colour('31', 'gentoomuch:', sys.stderr)} {other.message}")
    if failure.hint:
        info(f"{_colour('31', 'gentoomuch:', sys.stderr)}     hint: {failure.hint}")
    return failure.status


def _try_json(data: Any) -> bool:
    """Print data as JSON and flush; return whether stdout could be written."""
    try:
        print_json(data)
        flush()
    except StdoutWriteFailed:
        return False
    return True


class ExitStatus:
    """The exit status of a block whose errors are reported."""

    status = 0


@contextmanager
def report_errors(*, as_json: bool = False) -> Iterator[ExitStatus]:
    """Report the errors of a block instead of raising them, and set ``status``."""
    end = ExitStatus()
    try:
        try:
            yield end
        except GmError as failure:
            end.status = error(failure, as_json=as_json)
        flush()
    except StdoutWriteFailed as failure:
        end.status = end.status or error(failure)


def confirm(question: str) -> bool:
    """Ask a question on the terminal; return True only for ``y`` or ``yes``, and False without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def escape_unprintable(text: str) -> str:
    """Escape unprintable characters, so that text from untrusted files cannot control the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@contextmanager
def progress(label: str, total: int, *, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show the progress of a block in the last row of the terminal; show nothing without a terminal.

    Args:
        total: number of steps.

    Returns:
        A function to call with the name of the current step, and the number of steps done since the last call.
    """
    row = BottomLine()
    done = 0

    def advance(name: str, steps: int) -> None:
        nonlocal done
        done += steps
        row.draw(f"{label} {done}/{total}  {escape_unprintable(name)}")

    if quiet:
        yield lambda _name, _steps: None
        return
    try:
        yield advance
    finally:
        row.close()


class BottomLine:
    """The last row of the terminal on stderr; other output scrolls in the rows above it and is not changed.

    Nothing is drawn if stderr is no terminal.
    """

    def __init__(self) -> None:
        self._size = os.terminal_size((0, 0))
        self._possible = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}

    @property
    def possible(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._possible

    def draw(self, text: str) -> None:
        """Replace the text of the row, cut to the width of the terminal."""
        if not self._possible:
            return
        try:
            self._draw(text, os.get_terminal_size(sys.stderr.fileno()))
        except OSError:  # the terminal was closed, and the work goes on
            self._possible, self._size = False, os.terminal_size((0, 0))

    def _draw(self, text: str, size: os.terminal_size) -> None:
        if size.lines < _MIN_ROWS:
            self.close()
            return
        # Source: DECSC, DECRC and DECSTBM of the VT100. Setting the margins moves the cursor, so it is saved.
        margins = f"\n\0337\033[1;{size.lines - 1}r\0338\033[1A" if size != self._size else ""
        self._size = size
        sys.stderr.write(f"{margins}\0337\033[{size.lines};1H\033[2K{text[: size.columns - 1]}\0338")
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the row, and let other output use it again."""
        if self._size.lines:
            rows = self._size.lines
            with suppress(OSError):
                sys.stderr.write(f"\0337\033[{rows};1H\033[2K\033[1;{rows}r\0338")
                sys.stderr.flush()
            self._size = os.terminal_size((0, 0))


_MIN_ROWS = 5
"""Nothing is drawn on a terminal with fewer rows."""


def coloured(stream: Any) -> bool:
    """Return whether to print colours to a stream. Source: NO_COLOR, FORCE_COLOR, and Portage's NOCOLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return (
        os.environ.get("NOCOLOR", "").lower() not in {"yes", "true", "1"}
        and os.environ.get("TERM", "") not in {"", "dumb"}
        and stream.isatty()
    )


def _colour(code: str, text: str, stream: Any) -> str:
    return f"\033[{code}m{text}\033[0m" if coloured(stream) else text


def heading(text: str) -> str:
    """Format text in bold, if stdout shows colours."""
    return _colour("1", text, sys.stdout)


def good(text: str) -> str:
    """Format text in green, if stdout shows colours."""
    return _colour("32", text, sys.stdout)


def bad(text: str) -> str:
    """Format text in red, if stdout shows colours."""
    return _colour("31", text, sys.stdout)


def faint(text: str) -> str:
    """Format text faintly, if stdout shows colours."""
    return _colour("2", text, sys.stdout)


OPTION_HELP = {
    "--gm-profile": "build for this machine (also GM_PROFILE, or as NAME-emerge)",
    "--gm-config": "configuration directory (default: /etc/gentoomuch; also GM_CONFIG)",
    "--gm-state": "state directory (default: /var/lib/gentoomuch; also GM_STATE)",
    "--gm-cache": "cache directory (default: /var/cache/gentoomuch; also GM_CACHE)",
    "--gm-explain": "print the plan and do nothing",
    "--gm-plan": "run a saved plan; - is stdin",
    "--gm-isolation": "build on the host (none), or in this type of container; auto: the best one available",
    "--gm-unmask": "unmask only these: keywords, live, use, license, mask; or none",
    "--gm-locked": "fail instead of unmasking anything new",
    "--gm-trust": "trust the .gentoo directory with this ID for this run; ID:security allows its security masks, too",
    "--gm-no": "disable these plugins for this run",
    "--gm-json": "write events to a file, one JSON object per line; -: to stdout, and emerge's output to stderr",
    "--gm-help": "show the options of gm-emerge alone",
    "--gm-version": "show the version of gentoomuch-portage alone",
}


def format_own_options(options: Mapping[str, str]) -> str:
    """Format the options that gm-emerge adds to emerge's, one per line.

    Args:
        options: option -> placeholder of its value, in brackets if optional; empty if it takes none.
    """
    lines = []
    for option, value in options.items():
        suffix = f"[={value[1:-1]}]" if value.startswith("[") else f"={value}" if value else ""
        lines.append(f"   {option + suffix:<36} {OPTION_HELP[option]}")
    return "\n".join([heading("options of gm-emerge:"), *lines])


def format_plan(plan: "Plan") -> str:
    """Format a plan as two columns."""
    rows = [
        ("profile", plan.profile),
        ("base", plan.base),
        ("root", plan.root),
        ("configroot", plan.configroot),
        *([("for building", plan.build_configroot)] if plan.build_configroot else []),
        ("isolation", plan.isolation),
        *(("env", f"{name}={value}") for name, value in plan.env.items()),
        *((plugin, f"{part}") for plugin, part in plan.parts),
        ("runs", " ".join(["emerge", *plan.arguments])),
    ]
    indented = ((name, text.replace("\n", "\n" + " " * 14)) for name, text in rows)
    return "\n".join(f"{faint(f'{name:>12}')}  {text}" for name, text in indented)
