# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that take a profile by ``--profile``, or the one that is set."""

import json

import pytest

from gentoomuch_portage import history
from gentoomuch_portage.cli.commands import run_command_line
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
        settings.state, "gone", {"event": "ended", "at": 1, "run": "1", "arguments": [], "status": 0, "seconds": 1}
    )


@pytest.mark.parametrize("words", [*COMMANDS, ("history",)], ids=" ".join)
def test_a_mistyped_profile_is_reported_with_the_most_similar_one(words, capsys):
    status = run_command_line([*words, "--profile", "sever"])

    assert (status, "--profile server" in capsys.readouterr().err) == (64, True)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_active_profile_is_an_error(words, settings, capsys):
    (settings.state / "profile").write_text("gone\n")

    assert (run_command_line([*words]), "[unknown-profile]" in capsys.readouterr().err) == (64, True)


def test_the_history_of_a_removed_profile_can_be_read(capsys):
    assert (run_command_line(["history", "--profile", "gone"]), "gone" in capsys.readouterr().out) == (0, True)


def test_the_hint_names_the_profile(capsys):
    assert run_command_line(["unmask", "why", "a/b", "--profile", "server"]) == 64

    assert "unmask ls --profile server" in capsys.readouterr().err


def test_history_lists_runs_that_only_print_with_all_only(settings, capsys):
    for number, words in enumerate([["-p", "a/b"], ["-1pv", "a/b"], ["--no-such"], ["-C", "a/b"], ["a/b"], ["-V"]]):
        event = {"event": "ended", "at": number, "run": str(number), "arguments": words, "status": 0, "seconds": 1}
        history.append(settings.state, "server", event)

    assert [run["arguments"] for run in _runs(capsys)] == [["-C", "a/b"], ["a/b"]]
    assert len(_runs(capsys, "--all")) == 6


def _runs(capsys, *words: str):
    assert run_command_line(["history", "--profile", "server", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)
