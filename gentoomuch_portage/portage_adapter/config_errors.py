# SPDX-License-Identifier: GPL-2.0-or-later
"""Convert Portage's messages to errors with the line at which the invalid statement begins."""

import configparser
import io
import re
import shlex
import string
from pathlib import Path

from gentoomuch_portage.errors import BadFile

_NAMED = re.compile(r'"([^"]+)", line (\d+): *(.*)')
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_NO_NAME = re.compile(r"^\d|\W")
_WORD = string.digits + string.ascii_letters + r"~!@#$%*_\:;?,./-+{}"
"""The characters of a token in make.conf. Source: portage.util.getconfig."""


def bad(path: Path, message: str) -> BadFile:
    """Return an error for a message of Portage, with the file and line from its text.

    Portage reports the line where it stopped reading; for an open quote, that is the last line.
    """
    message = " ".join(message.replace("!!!", " ").split())
    at = _NAMED.search(message)
    if at is None:
        return BadFile(path, 0, message or "Portage cannot read it")
    what = at[3][:1].lower() + at[3][1:]
    line = wrong_at(Path(at[1]), what) or int(at[2])
    return BadFile(at[1], line, what or "it cannot be read", hint="fix that line")


def wrong_at(path: Path, what: str) -> int:
    """Return the line, from 1, at which the first invalid statement begins; 0 if none is found.

    Args:
        what: Portage's message; it contains the name of a missing file that is sourced.

    Source: portage.util.getconfig, which has the same steps.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace") + "\n"
    except OSError:
        return 0
    stream = io.StringIO(text)
    words = shlex.shlex(stream, posix=True)
    words.wordchars = _WORD
    while True:
        begins = _BLANK.match(text, max(stream.tell() - 1, 0))
        line = text.count("\n", 0, begins.end() if begins else 0) + 1
        try:
            key = words.get_token()
            if key == "export":
                key = words.get_token()
            if key is None:
                return 0
            if key == "source":
                if (words.get_token() or "") in what:
                    return line
                continue
            if words.get_token() != "=" or words.get_token() is None or _NO_NAME.search(key):
                return line
        except ValueError:
            return line


def check_sections(path: Path) -> None:
    """Check the syntax of a repos.conf, binrepos.conf or sets.conf file.

    Raises:
        BadFile: a line is invalid.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        configparser.ConfigParser().read_string(text)
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        name = getattr(error, "option", error.section)
        raise BadFile(path, error.lineno or 0, f"{name!r} occurs twice", hint="remove one of them") from error
    except configparser.MissingSectionHeaderError as error:
        raise BadFile(path, error.lineno, "no [section] before this line", hint="write [name]") from error
    except configparser.ParsingError as error:
        line, _ = error.errors[0]  # the text in the error depends on the Python version
        reason = f"{text.splitlines()[line - 1].strip()!r} is not NAME = VALUE"
        raise BadFile(path, line, reason, hint="fix that line") from error
