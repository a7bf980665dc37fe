# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard streams: results, messages, errors and colours."""

import io
import json
import os
import sys

import pytest

from gentoomuch_portage import console
from gentoomuch_portage.errors import BadFile, GmError
from gentoomuch_portage.plan.plan import File, Plan


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_an_error_is_printed_to_stderr_with_its_code_and_hint(capsys: pytest.CaptureFixture[str]):
    with console.report_errors() as end:
        raise BadFile("a.toml", 3, "it is wrong", hint="mend it")

    assert end.status == 78
    out, err = capsys.readouterr()
    assert (out, err) == ("", "gentoomuch: a.toml:3: it is wrong  [bad-file]\ngentoomuch:     hint: mend it\n")


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert console.error(GmError("no")) == 70
    assert capsys.readouterr().err == "gentoomuch: no  [error]\n"


def test_an_error_as_json_is_an_object_on_stdout_only(capsys: pytest.CaptureFixture[str]):
    with console.report_errors(as_json=True) as end:
        raise BadFile("a.toml", 3, "it is wrong", hint="mend it")

    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": "bad-file", "message": "a.toml:3: it is wrong", "hint": "mend it"}
    assert (end.status, err) == (78, "")


def test_other_exceptions_are_not_caught():
    with pytest.raises(ZeroDivisionError), console.report_errors():
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NOCOLOR": "true"}, False),
        ({"TERM": "xterm", "NOCOLOR": "no"}, True),
    ],
)
def test_colours_need_a_terminal_and_obey_no_color_nocolor_and_term(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], coloured: bool
):
    for name in ("TERM", "NO_COLOR", "NOCOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert console.coloured(Terminal()) is coloured
    assert not console.coloured(io.StringIO())


def test_writes_to_a_closed_stream_are_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)

    console.reopen_closed_streams()
    with sys.stdout as null:
        console.print_result(console.heading("dropped"))

    assert null.name == os.devnull


def test_a_plan_part_of_several_lines_is_indented():
    plan = Plan(profile="a", base="host", root="/", parts=(("lamp", File("sets.conf", "[one]\ntwo\n")),))

    assert f"{'lamp':>12}  sets.conf: [one]\n{'':>12}  two\n" in console.format_plan(plan)
