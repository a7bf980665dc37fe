# SPDX-License-Identifier: GPL-2.0-or-later
"""Correct a wrong command line for the hint of its error: options, values and missing arguments; imported only then."""

import argparse
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise

from gentoomuch_portage.cli.examples import EXAMPLES
from gentoomuch_portage.errors import Correction, GmError, UsageError, correct_command, nearest

SAMPLES: Mapping[str, str] = {
    "A": "1", "B": "2", "ARCHIVE": "stage3.tar.xz", "ATOM": "app-misc/hello", "CPU": "native", "CPV": "app-misc/hello",
    "DIR": ".", "FILE": "out.tar", "FLAG": "ssl", "FROM": "/etc/portage", "GENERATION": "1", "HOOK": "refresh",
    "KEY": "cpu", "N": "1", "NEW": "new", "OTHER": "NAME", "PACKAGE": "app-misc/hello", "SECONDS": "60", "SET": "mine",
    "URL": "https://binhost.example.org/packages", "VALUE": "native", "WORD": "hello", "[HOST:]DIR": "/etc/portage",
    "what": "requires",
}  # fmt: skip
"""Placeholder of an argument, as in help -> an example."""
_OPTIONS: Mapping[str, str] = {
    "--dry-run": "--pretend", "--dryrun": "--pretend", "-n": "--pretend", "--force": "--yes", "-f": "--yes",
    "-y": "--yes", "--recursive": "--all", "-a": "--all", "--out": "--output", "--prefix": "--root", "-p": "--pretend",
}  # fmt: skip
"""Options that people know from other programs -> ours."""
_VALUES: Mapping[str, str] = {
    "amd64": "x86_64", "x86-64": "x86_64", "i686": "i386", "x86": "i386", "aarch64": "arm64", "armv7": "arm",
}  # fmt: skip
"""Values that people know from other programs -> ours."""
_TRIES = 4
"""How many errors of one command line are corrected."""


def find_usage_correction(parser: argparse.ArgumentParser, message: str, arguments: Sequence[str]) -> Correction | None:
    """Find what to change after an error of argparse; None if it is not known.

    Args:
        parser: of the command.
        message: from argparse, in English.
        arguments: of the command.
    """
    actions = {argparse._get_action_name(action): action for action in parser._actions}
    if match := re.fullmatch(r"unrecognized arguments: (.*)", message):
        return _replace_unknown(parser, match[1].split(" ")[0])
    if match := re.fullmatch(r"the following arguments are required: (.*)", message):
        missing = [actions[name] for name in match[1].split(", ") if name in actions]
        return _append(parser, missing, arguments)
    if match := re.fullmatch(r"one of the arguments (.*) is required", message):
        first = next((name for name in actions if name and f"{match[1]} ".startswith(f"{name} ")), None)
        return _append(parser, [actions[first]], arguments) if first else None
    if not (match := re.fullmatch(r"argument ([^:]*): (.*)", message, re.S)) or match[1] not in actions:
        return None
    action, reason = actions[match[1]], match[2]
    typed = next((argument for argument in arguments if argument in action.option_strings), "")
    if reason.startswith("expected ") and typed:
        return Correction(typed, (typed, *_sample(parser, action, arguments)))
    if (other := re.fullmatch(r"not allowed with argument (.*)", reason)) and other[1] in actions:
        return _drop(actions[other[1]], arguments)
    if wrong := re.search(r"^invalid .*?'(.*?)'", reason):
        return _replace_value(parser, action, wrong[1], arguments)
    if typed and action.nargs is None:
        return Correction(typed, (typed, *_sample(parser, action, arguments)), length=2)
    return None


def _replace_unknown(parser: argparse.ArgumentParser, typed: str) -> Correction | None:
    """Replace an option by a similar one; drop a value that the command does not take."""
    if not typed.startswith("-"):
        return Correction(typed, ())
    known = [option for option in parser._option_string_actions if option.startswith("--")]
    option, equals, value = typed.partition("=")
    meant = _OPTIONS.get(option, "")
    near = nearest(option.removeprefix("--"), (name.removeprefix("--") for name in known)) if len(option) > 2 else ""
    meant = meant if meant in known else f"--{near}" if near else ""
    return Correction(typed, (f"{meant}{equals}{value}",)) if meant else None


def _append(
    parser: argparse.ArgumentParser, missing: Sequence[argparse.Action], arguments: Sequence[str]
) -> Correction | None:
    """Append arguments that are missing."""
    words: list[str] = []
    for action in missing:
        sample = _sample(parser, action, [*arguments, *words])
        words += [max(action.option_strings, key=len), *sample] if action.option_strings else sample
    return Correction("", tuple(words)) if words else None


def _drop(action: argparse.Action, arguments: Sequence[str]) -> Correction | None:
    """Drop an option that excludes a later one, with its value."""
    if action.option_strings:
        typed = next((argument for argument in arguments if argument in action.option_strings), "")
        return Correction(typed, (), 1 if action.nargs == 0 else 2) if typed else None
    value = next((argument for argument in arguments if not argument.startswith("-")), "")
    return Correction(value, ()) if value else None


def _replace_value(
    parser: argparse.ArgumentParser, action: argparse.Action, wrong: str, arguments: Sequence[str]
) -> Correction | None:
    """Replace an invalid value by a similar one; a number or a truth value by an example."""
    if action.choices is None:
        sample = _sample(parser, action, arguments) if action.type is int else ["y"]
        return Correction(wrong, tuple(sample)) if sample else None
    choices = list(map(str, action.choices))
    synonyms = {value: ours for value, ours in _VALUES.items() if ours in choices}
    near = nearest(wrong, [*choices, *synonyms])
    return Correction(wrong, (synonyms.get(near, near),)) if near else None


def _sample(parser: argparse.ArgumentParser, action: argparse.Action, arguments: Sequence[str]) -> list[str]:
    """Return an example of the value of an argument: that of the examples in help, or of its placeholder."""
    if action.nargs == 0:
        return []
    if action.choices is not None:
        return [str(next(iter(action.choices)))]
    if "--root" in action.option_strings:
        return [f"/srv/roots/{next((value for value in arguments if not value.startswith('-')), 'new')}"]
    examples = (shlex.split(example) for example in EXAMPLES if f"gentoomuch {example} ".startswith(f"{parser.prog} "))
    for words in examples:
        for option, value in pairwise(words):
            if option in action.option_strings:
                return [value]
    placeholder = str(action.metavar or action.dest)
    return [SAMPLES.get(placeholder, placeholder)]


def find_corrected(
    error: GmError,
    arguments: Sequence[str],
    parse: Callable[[list[str]], object],
    find_name: Callable[[], str],
) -> list[str]:
    """Return the corrected command line; empty if there is none that the parser accepts.

    Args:
        arguments: the wrong command line, without the program.
        parse: raises the error of a command line.
        find_name: returns the name of a profile, for an example.
    """
    corrected = ["gentoomuch", *arguments]
    current: GmError | None = error
    for _ in range(_TRIES):
        if current is None:
            return corrected
        _fill_placeholders(current, corrected)
        corrected = correct_command(current, corrected, find_name)
        if corrected[:1] != ["gentoomuch"]:
            return corrected
        current = _find_error(corrected[1:], parse)
    return []


def _find_error(arguments: list[str], parse: Callable[[list[str]], object]) -> GmError | None:
    """Return the error of a command line; None if it is valid, or asks for help."""
    try:
        with redirect_stdout(StringIO()):
            parse(arguments)
    except SystemExit:
        return None
    except UsageError as error:
        return error
    return None


def _fill_placeholders(error: GmError, command: list[str]) -> None:
    """Fill the placeholders of a correction with the values that follow the wrong command, then with examples.

    Args:
        command: the values that are used are removed from it.
    """
    correction = error.correction
    if correction is None or error.code != "unknown-command" or correction.typed not in command:
        return
    meant = []
    for word in correction.meant:
        index = _find_value(command, command.index(correction.typed)) if word in {"NAME", *SAMPLES} else 0
        meant.append(command.pop(index) if index else SAMPLES.get(word, word))
    error.correction = Correction(correction.typed, tuple(meant))


def _find_value(command: Sequence[str], index: int) -> int:
    """Return the index of the next argument that is neither an option nor the value of one; 0 if there is none."""
    for before, argument in pairwise(enumerate(command[index:], index)):
        if argument[1] == "--":
            break
        if not argument[1].startswith("-") and not before[1].startswith("--"):
            return argument[0]
    return 0
