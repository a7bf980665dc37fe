# SPDX-License-Identifier: GPL-2.0-or-later
"""What pages show is true as far as it can be seen without running it; tests/docs runs it."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from helpers import snippets

from gentoomuch_portage.cli import commands, parser
from gentoomuch_portage.errors import GmError
from gentoomuch_portage.plan.request import OPTIONS

TOP = snippets.TOP
_CONTROL = {"|", "||", "&", "&&", ";", ">", "<", ">>"}


def commands_of(page: Path) -> Iterator[tuple[int, list[str]]]:
    """The simple commands of a page, as words, with the line of their fence."""
    for one in snippets.find(page):
        for step in one.steps:
            words = shlex.shlex(re.sub(r"\$\([^)]*\)", "x", step.command), posix=True, punctuation_chars=True)
            words.whitespace_split = True
            command: list[str] = []
            for word in [*words, ";"]:
                if word in _CONTROL:
                    yield one.line, command
                    command = []
                else:
                    command.append(word)


@cache
def parsing() -> parser.Parser:
    """The parser of gentoomuch."""
    return parser.build_parser(commands.load_own_commands())


def wrong(page: Path) -> Iterator[str]:
    """Commands of ours that our own parsers would refuse."""
    for line, command in commands_of(page):
        try:
            match command:
                case ["gentoomuch", *words] if "--" not in words:
                    parsing().parse_args(words)
                case ["gm-emerge", *words]:
                    given = [word.partition("=")[0] for word in words if word.startswith("--gm-")]
                    yield from (f"{page.name}:{line}: {word}" for word in given if word not in OPTIONS)
        except (GmError, SystemExit) as error:
            yield f"{page.name}:{line}: {shlex.join(command)}: {error}"


@pytest.mark.parametrize("page", snippets.PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_commands_that_are_shown_are_commands(page: Path):
    assert [*wrong(page)] == []


def test_an_unknown_command_in_a_page_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ gentoomuch profil ls\n$ ls | gentoomuch doctor\n# gm-emerge --gm-porfile=x -p y\n```\n"
    )

    told = [*wrong(page)]

    assert len(told) == 2
    assert "profil ls" in told[0]
    assert told[1].endswith("--gm-porfile")


def test_no_command_hides_in_a_fence_that_is_not_run():
    assert [f"{page.relative_to(TOP)}:{line}" for page in snippets.PAGES for line in snippets.unmarked(page)] == []


def test_the_shell_can_read_every_snippet():
    text = "\n".join(step.command for page in snippets.PAGES for one in snippets.find(page) for step in one.steps)
    ended = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_line_that_is_not_printed_is_found(tmp_path: Path):
    page = snippets.TOP / "tests/data/snippets.md"

    faults = snippets.faults(page, snippets.clone(tmp_path / "clone"))

    assert [fault.splitlines()[1] for fault in faults] == ["did not print: 3...", "ended with 1, not 0"]


def test_the_picture_shows_the_session_of_its_script():
    loader = SourceFileLoader("record", str(TOP / "tools/record"))
    record = module_from_spec(spec_from_loader("record", loader))
    loader.exec_module(record)

    shown = record.shown(record.PICTURE.read_text(encoding="utf-8")).splitlines()

    typed = [line[2:] for line in shown if line.startswith("$ ")]
    assert [line for line in typed if line in record.SESSION] == ["make demo", ". .demo/env.sh", *record.SESSION[1:]]
