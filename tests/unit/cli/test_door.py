"""Which commands there are, and how errors of the command line end."""

import argparse
import json
import subprocess
import sys

import pytest

from gentoomuch_portage.cli import parser
from gentoomuch_portage.cli import profile as cli_profile
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.commands import enter
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config import schema
from gentoomuch_portage.plugins.hookspec import hookimpl


class Gives:
    """A plugin that gives one command."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def gm_commands(self):
        yield Command(
            self.name, "of a plugin", lambda parser: parser.add_argument("--twice", action="store_true"),
            lambda settings, args: 22 if args.twice else 11,
        )  # fmt: skip


class GivesNone:
    """A plugin whose command is none."""

    @hookimpl
    def gm_commands(self):
        yield "a word"


@pytest.fixture(autouse=True)
def places(monkeypatch, settings):
    """All that gentoomuch reads and writes lies in a folder."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))


def test_a_command_of_a_plugin_works_with_its_own_options():
    assert enter(["extra", "--twice"], [("gm-extra", Gives("extra"))]) == 22


def test_help_lists_the_commands_of_plugins(capsys):
    with pytest.raises(SystemExit) as ended:
        enter(["--help"], [("gm-extra", Gives("extra"))])

    assert ended.value.code == 0
    assert "of a plugin" in capsys.readouterr().out


def test_help_is_given_though_a_plugin_is_broken(capsys):
    with pytest.raises(SystemExit) as ended:
        enter(["--help"], [("gm-bad", GivesNone())])

    told = capsys.readouterr()
    assert ended.value.code == 0
    assert "profile" in told.out
    assert "'a word' is no Command" in told.err


def test_two_commands_of_one_name_are_refused_with_both_providers(capsys):
    assert enter(["extra"], [("gm-b", Gives("extra")), ("gm-a", Gives("extra"))]) == 70

    assert "comes from plugin 'gm-a' and from plugin 'gm-b'" in capsys.readouterr().err


def test_a_plugin_cannot_take_the_name_of_a_command_of_ours(capsys):
    assert enter(["other"], [("gm-b", Gives("profile"))]) == 70

    assert "'profile' comes from gentoomuch itself and from plugin 'gm-b'" in capsys.readouterr().err


def test_a_command_of_ours_works_though_a_plugin_is_broken(capsys):
    assert enter(["profile", "ls", "--json"], [("gm-bad", GivesNone())]) == 0

    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    "line",
    [
        "profle",
        "profile",
        "profile shwo",
        "profile ls --jsn",
        "profile ls --color maybe",
        "plugins -- x",
        "profile add",
        "",
    ],
)
def test_a_wrong_command_line_ends_with_64_and_a_remedy(capsys, line):
    assert enter(line.split()) == 64

    told = capsys.readouterr()
    assert told.out == ""
    assert "try: gentoomuch" in told.err


def test_a_mistyped_command_is_answered_with_the_nearest(capsys):
    enter(["profile", "shwo"])

    assert "try: gentoomuch profile show" in capsys.readouterr().err


def test_an_error_with_json_in_force_is_one_object_and_nothing_else(capsys):
    assert enter(["profile", "show", "ghost", "--json"]) == 64

    told = capsys.readouterr()
    assert json.loads(told.out).keys() == {"error", "message", "remedy"}
    assert told.err == ""


def test_json_behind_two_dashes_is_not_ours(capsys):
    assert enter(["profile", "run", "ghost", "--", "prog", "--json"]) == 64

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [["--config={}", "profile", "ls"], ["profile", "ls", "--config", "{}"]])
def test_a_general_option_stands_before_the_command_or_behind_it(capsys, tmp_path, words):
    (tmp_path / "other/profiles").mkdir(parents=True)
    (tmp_path / "other/profiles/box.toml").write_text("")

    assert enter([word.format(tmp_path / "other") for word in words] + ["--names"]) == 0

    assert capsys.readouterr().out == "box\n"


def test_colours_are_forced_where_they_are_asked_for(capsys, monkeypatch, write):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "")  # set by the command, and taken back behind this test
    write("profiles/box.toml", "")

    enter(["profile", "ls", "--color", "y"])

    assert "\033[" in capsys.readouterr().out


def test_a_state_that_is_a_file_is_told_without_a_traceback(capsys, tmp_path, write):
    write("profiles/box.toml", "")
    (tmp_path / "file").write_text("")

    assert enter(["profile", "set", "box", "--state", str(tmp_path / "file")]) in {69, 77}

    assert "Traceback" not in capsys.readouterr().err


def test_the_template_of_a_profile_shows_every_key_with_a_value_that_is_taken(write):
    plain = "".join(line.removeprefix("# ") for line in config_profile.text("box").splitlines(keepends=True)[3:])

    said = schema.load(write("profiles/box.toml", plain), schema.PROFILE)

    assert said.keys() == schema.PROFILE.keys()
    assert said["unmask"].keys() == schema.PROFILE["unmask"].keys()
    assert said["binpkg"].keys() == schema.PROFILE["binpkg"].keys()


def test_a_start_imports_no_more_than_what_tells_of_commands():
    asks = "import sys; from gentoomuch_portage.cli import commands; commands.ours(); print(*sys.modules)"
    heavy = {"emerge.run", "reports", "plan", "configroot", "pkgindex", "containers"}

    modules = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True).stdout.split()

    assert not {f"gentoomuch_portage.{name}" for name in heavy} & {*modules}
    assert "urllib3" not in modules
    assert "_emerge" not in modules


@pytest.mark.parametrize("words", [["profile", "lint", "--hlp"], ["history", "--hlp", "a/b"]], ids=" ".join)
def test_a_word_that_a_command_does_not_know_is_answered_with_the_help_of_that_command(words, capsys):
    command = " ".join(word for word in words if word in {"profile", "lint", "history"})

    assert (enter(words), f"try: gentoomuch {command} --help" in capsys.readouterr().err) == (64, True)


def test_the_environment_names_the_profile_before_what_is_set_and_the_line_before_both(monkeypatch, settings):
    monkeypatch.setenv("GM_PROFILE", "server")
    settings.state.mkdir()
    (settings.state / "profile").write_text("laptop\n")

    named = [parser.chosen(settings, argparse.Namespace(name=name)) for name in (None, "router")]

    assert named == ["server", "router"]


def test_a_user_may_set_no_profile_where_root_has_set_one(settings, tmp_path):
    (tmp_path / "system").mkdir()
    (tmp_path / "system/profile").write_text("server\n")
    ours = settings._replace(shared=tmp_path / "system")

    cli_profile.COMMAND.work(ours, argparse.Namespace(profile_command="set", unset=True, name=None, quiet=True))

    assert (settings.chosen, ours.chosen) == ("", "")
