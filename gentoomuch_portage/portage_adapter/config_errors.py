"""What Portage complains of, as errors of ours: at the line where the wrong statement begins."""

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
"""What a word of make.conf is made of. Source: portage.util.getconfig."""


def bad(path: Path, told: str) -> BadFile:
    """An error of Portage, with the file and line that it names somewhere in its text.

    Portage names the line where it stopped to read, which for an open quote is the last.
    """
    told = " ".join(told.replace("!!!", " ").split())
    at = _NAMED.search(told)
    if at is None:
        return BadFile(path, 0, told or "Portage cannot read it")
    what = at[3][:1].lower() + at[3][1:]
    line = wrong_at(Path(at[1]), what) or int(at[2])
    return BadFile(at[1], line, what or "it cannot be read", remedy="mend that line")


def wrong_at(path: Path, what: str) -> int:
    """The line, from 1, where the first statement begins that Portage cannot read; 0 where none is found.

    Args:
        what: Portage's complaint, which holds the name of a file that is to be sourced and is missing.

    Source: portage.util.getconfig, whose steps these are.
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
    """Hold a file of repos.conf, binrepos.conf or sets.conf to its grammar.

    Raises:
        BadFile: a line is wrong.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        configparser.ConfigParser().read_string(text)
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        name = getattr(error, "option", error.section)
        raise BadFile(path, error.lineno or 0, f"{name!r} is there twice", remedy="leave one out") from error
    except configparser.MissingSectionHeaderError as error:
        raise BadFile(path, error.lineno, "no [section] stands before this line", remedy="write [name]") from error
    except configparser.ParsingError as error:
        line, found = error.errors[0]
        told = f"{found.strip(chr(39)).removesuffix(chr(92) + 'n')!r} is no name = value"
        raise BadFile(path, line, told, remedy="mend that line") from error
