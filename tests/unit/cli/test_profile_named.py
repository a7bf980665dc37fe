"""Commands that take a profile by ``--profile``, or the one that is set."""

import json

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.cli.commands import enter
from gentoomuch_portage.unmask import ledger
from gentoomuch_portage.unmask.ledger import Entry

COMMANDS = [("unmask", "ls"), ("unmask", "why", "a/b"), ("unmask", "drop", "a/b")]


@pytest.fixture(autouse=True)
def profile(monkeypatch, settings, write):
    """A profile ``server``, and one named ``gone`` that left a ledger and a record."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    write("profiles/server.toml", "")
    ledger.change(settings.state, "gone", lambda _: [Entry(atom="=a/b-1", kind="keywords", value="~x")])
    history.append(
        settings.state, "gone", {"event": "ended", "at": 1, "run": "1", "words": [], "status": 0, "seconds": 1}
    )


@pytest.mark.parametrize("words", [*COMMANDS, ("history",)], ids=" ".join)
def test_a_mistyped_profile_is_told_with_the_one_that_is_meant(words, capsys):
    status = enter([*words, "--profile", "sever"])

    assert (status, "profile show server" in capsys.readouterr().err) == (64, True)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_profile_that_was_set_and_is_gone_is_told(words, settings, capsys):
    (settings.state / "profile").write_text("gone\n")

    assert (enter([*words]), "[unknown-profile]" in capsys.readouterr().err) == (64, True)


def test_the_record_of_a_profile_that_is_gone_can_be_read(capsys):
    assert (enter(["history", "--profile", "gone"]), "gone" in capsys.readouterr().out) == (0, True)


def test_the_way_out_names_the_profile(capsys):
    assert enter(["unmask", "why", "a/b", "--profile", "server"]) == 64

    assert "unmask ls --profile server" in capsys.readouterr().err


def test_of_runs_that_only_told_something_history_says_nothing_unless_asked(settings, capsys):
    for number, words in enumerate([["-p", "a/b"], ["-1pv", "a/b"], ["--no-such"], ["-C", "a/b"], ["a/b"], ["-V"]]):
        event = {"event": "ended", "at": number, "run": str(number), "words": words, "status": 0, "seconds": 1}
        history.append(settings.state, "server", event)

    assert [run["words"] for run in _runs(capsys)] == [["-C", "a/b"], ["a/b"]]
    assert len(_runs(capsys, "--all")) == 6


def _runs(capsys, *words: str):
    assert enter(["history", "--profile", "server", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)
