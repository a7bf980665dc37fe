"""What is shown, and where."""

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


def test_an_error_is_two_lines_on_stderr_and_its_status(capsys: pytest.CaptureFixture[str]):
    with console.shown() as end:
        raise BadFile("a.toml", 3, "it is wrong", remedy="mend it")

    assert end.status == 78
    out, err = capsys.readouterr()
    assert (out, err) == ("", "gentoomuch: a.toml:3: it is wrong  [bad-file]\ngentoomuch:     try: mend it\n")


def test_an_error_without_a_remedy_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert console.refuse(GmError("no")) == 70
    assert capsys.readouterr().err == "gentoomuch: no  [error]\n"


def test_an_error_for_scripts_is_json_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]):
    with console.shown(as_json=True) as end:
        raise BadFile("a.toml", 3, "it is wrong", remedy="mend it")

    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": "bad-file", "message": "a.toml:3: it is wrong", "remedy": "mend it"}
    assert (end.status, err) == (78, "")


def test_an_error_that_is_not_ours_is_let_through():
    with pytest.raises(ZeroDivisionError), console.shown():
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
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], coloured: bool
):
    for name in ("TERM", "NO_COLOR", "NOCOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert console.coloured(Terminal()) is coloured
    assert not console.coloured(io.StringIO())


def test_a_stream_that_is_closed_is_spoken_to_in_vain(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)

    console.stand_in()
    with sys.stdout as unheard:
        console.say(console.heading("unheard"))

    assert unheard.name == os.devnull


def test_a_part_of_several_lines_keeps_its_column():
    plan = Plan(profile="a", base="host", root="/", parts=(("lamp", File("sets.conf", "[one]\ntwo\n")),))

    assert f"{'lamp':>12}  sets.conf: [one]\n{'':>12}  two\n" in console.explained(plan)
