"""The one room that speaks."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentoomuch_portage.errors import GmError, Unsaid

if TYPE_CHECKING:
    from gentoomuch_portage.plan.plan import Plan


def stand_in() -> None:
    """Put /dev/null in the place of streams that are closed: what is said goes nowhere, and no file of ours takes one's
    number, where programs that we start would write. Portage asks for ``sys.__stdout__``."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            opened = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open
            setattr(sys, name, opened)
            setattr(sys, f"__{name}__", opened)


@contextmanager
def _saying() -> Iterator[None]:
    """Stdout is written in the block; what cannot be is dropped, or Python would try again at its end.

    Raises:
        Unsaid: it cannot be.
    """
    try:
        yield
    except OSError as error:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise Unsaid((error.strerror or "it fails").lower()) from error


def say(text: str = "") -> None:
    """Print what was asked for, to stdout.

    Raises:
        Unsaid: it cannot be.
    """
    with _saying():
        sys.stdout.write(f"{text}\n")


def say_each(lines: Iterable[str]) -> None:
    """Print several lines of what was asked for; nothing where there are none."""
    for line in lines:
        say(line)


def set_apart() -> int:
    """Keep stdout for what scripts read: whatever is printed from now on, by Portage too, goes to stderr.

    Returns:
        A descriptor of what stdout was.
    """
    sys.stdout.flush()
    kept = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return kept


def flush() -> None:
    """Let a reader behind a pipe have what was said so far; for work that does not end.

    Raises:
        Unsaid: it cannot be.
    """
    with _saying():
        sys.stdout.flush()


def tell(text: str) -> None:
    """Print something about the work, to stderr."""
    sys.stderr.write(f"{text}\n")


def agreed(question: str) -> bool:
    """Ask on the terminal; only a written yes is one, and without a terminal nobody agrees."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def say_json(found: Any) -> None:
    """Print data for scripts."""
    say(json.dumps(found, indent=2, sort_keys=True, default=str))


def warn(text: str) -> None:
    """Print a line that asks for attention."""
    tell(f"{_colour('33', 'gentoomuch:', sys.stderr)} {text}")


def refuse(error: GmError, *, as_json: bool = False) -> int:
    """Show an error with its remedy, and return its exit status."""
    told = {"error": error.code, "message": error.message, "remedy": error.remedy}
    if as_json and not isinstance(error, Unsaid) and _said(told):
        return error.status
    tell(f"{_colour('31', 'gentoomuch:', sys.stderr)} {error.message}  [{error.code}]")
    if error.remedy:
        tell(f"{_colour('31', 'gentoomuch:', sys.stderr)}     try: {error.remedy}")
    return error.status


def _said(found: Any) -> bool:
    """Print data for scripts at once; whether they could get it."""
    try:
        say_json(found)
        flush()
    except Unsaid:
        return False
    return True


class Shown:
    """The exit status of a block whose errors are shown."""

    status = 0


@contextmanager
def shown(*, as_json: bool = False) -> Iterator[Shown]:
    """Show the errors of a block instead of letting them through; ``status`` says how it ended."""
    end = Shown()
    try:
        try:
            yield end
        except GmError as error:
            end.status = refuse(error, as_json=as_json)
        flush()
    except Unsaid as error:
        end.status = end.status or refuse(error)


@contextmanager
def progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show on a terminal how far long work has come, as long as the block runs.

    Nothing is shown elsewhere, and without rich, which draws it.

    Args:
        total: steps.

    Returns:
        To be called with what is worked on now, and how many steps were done since.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _text, _steps: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        yield lambda _text, _steps: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    drawn = Console(stderr=True, no_color=not coloured(sys.stderr))
    with Progress(*columns, console=drawn, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda text, steps: bar.update(task, description=f"{what} {text}", advance=steps)


class BottomLine:
    """The last row of the terminal behind stderr, which nothing else scrolls or overwrites; as apt has it.

    What others print keeps to the rows above and is not touched by a byte. Nothing happens where stderr is no terminal.
    """

    def __init__(self) -> None:
        self._size = os.terminal_size((0, 0))
        self._possible = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}

    @property
    def possible(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._possible

    def draw(self, text: str) -> None:
        """Show a text in place of the one before, cut to the width of the terminal."""
        if not self._possible:
            return
        try:
            self._draw(text, os.get_terminal_size(sys.stderr.fileno()))
        except OSError:  # the terminal has gone away, and the work goes on
            self._possible, self._size = False, os.terminal_size((0, 0))

    def _draw(self, text: str, size: os.terminal_size) -> None:
        if size.lines < _ROWS:
            self.close()
            return
        # Source: DECSC, DECRC and DECSTBM of the VT100; setting the margins moves the cursor, so it is kept.
        margins = f"\n\0337\033[1;{size.lines - 1}r\0338\033[1A" if size != self._size else ""
        self._size = size
        sys.stderr.write(f"{margins}\0337\033[{size.lines};1H\033[2K{text[: size.columns - 1]}\0338")
        sys.stderr.flush()

    def close(self) -> None:
        """Give the row back."""
        if self._size.lines:
            rows = self._size.lines
            with suppress(OSError):
                sys.stderr.write(f"\0337\033[{rows};1H\033[2K\033[1;{rows}r\0338")
                sys.stderr.flush()
            self._size = os.terminal_size((0, 0))


_ROWS = 5
"""A terminal with fewer keeps them all."""


def coloured(stream: Any) -> bool:
    """Whether a stream wants colours. Source: NO_COLOR, FORCE_COLOR, and Portage's NOCOLOR."""
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
    """A heading in bold where stdout wants colours."""
    return _colour("1", text, sys.stdout)


def good(text: str) -> str:
    """Green where stdout wants colours."""
    return _colour("32", text, sys.stdout)


def bad(text: str) -> str:
    """Red where stdout wants colours."""
    return _colour("31", text, sys.stdout)


def faint(text: str) -> str:
    """Faint where stdout wants colours."""
    return _colour("2", text, sys.stdout)


MEANING = {
    "--gm-profile": "build for this machine (also GM_PROFILE, or as NAME-emerge)",
    "--gm-config": "configuration instead of /etc/gentoomuch (also GM_CONFIG)",
    "--gm-state": "state instead of /var/lib/gentoomuch (also GM_STATE)",
    "--gm-cache": "cache instead of /var/cache/gentoomuch (also GM_CACHE)",
    "--gm-explain": "print the plan and do nothing",
    "--gm-plan": "run a printed plan; - is stdin",
    "--gm-isolation": "none, auto, or a kind of container",
    "--gm-unmask": "unmask only keywords, live, use, license, mask; or none",
    "--gm-locked": "fail where something new would be unmasked",
    "--gm-trust": "allow the .gentoo folder of this ID, in this run; ID:security for its security masks as well",
    "--gm-no": "leave plugins out",
    "--gm-json": "write what happens to a file, a line an event; - is stdout, and what emerge says goes to stderr",
    "--gm-help": "these words alone",
    "--gm-version": "our version alone",
}


def our_words(words: Mapping[str, str]) -> str:
    """Our words on emerge's line, a line each."""
    lines = []
    for word, shape in words.items():
        value = f"[={shape[1:-1]}]" if shape.startswith("[") else f"={shape}" if shape else ""
        lines.append(f"   {word + value:<36} {MEANING[word]}")
    return "\n".join([heading("gentoomuch's own words:"), *lines])


def explained(plan: "Plan") -> str:
    """A plan for people."""
    rows = [
        ("profile", plan.profile),
        ("base", plan.base),
        ("root", plan.root),
        ("configroot", plan.configroot),
        *([("for building", plan.build_configroot)] if plan.build_configroot else []),
        ("isolation", plan.isolation),
        *(("env", f"{name}={value}") for name, value in plan.env.items()),
        *((plugin, f"{part}") for plugin, part in plan.parts),
        ("runs", " ".join(["emerge", *plan.words])),
    ]
    shown = ((name, text.replace("\n", "\n" + " " * 14)) for name, text in rows)
    return "\n".join(f"{faint(f'{name:>12}')}  {text}" for name, text in shown)
