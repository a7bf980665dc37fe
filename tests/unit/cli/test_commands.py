# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of gentoomuch and of plugins; errors of the command line; general options."""

import argparse
import functools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from manual import command_tree

from gentoomuch_portage.cli import commands, parser
from gentoomuch_portage.cli import profile as cli_profile
from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.cli.commands import run_command_line
from gentoomuch_portage.cli.errors import _SYNONYMS
from gentoomuch_portage.cli.examples import find_examples
from gentoomuch_portage.config import profile as config_profile
from gentoomuch_portage.config import schema
from gentoomuch_portage.plugins.hookspec import hookimpl


class AddsCommand:
    """A plugin that adds a command."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def gm_commands(self):
        yield Command(
            self.name, "of a plugin", lambda parser: parser.add_argument("--twice", action="store_true"),
            lambda settings, args: 22 if args.twice else 11,
        )  # fmt: skip


class AddsNoCommand:
    """A plugin that adds something else than a command."""

    @hookimpl
    def gm_commands(self):
        yield "a word"


@pytest.fixture(autouse=True)
def places(monkeypatch, settings):
    """Keep all that gentoomuch reads and writes below a temporary directory."""
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"GM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(settings.host.parent.parent))


def test_a_plugin_command_parses_its_own_options():
    assert run_command_line(["extra", "--twice"], [("gm-extra", AddsCommand("extra"))]) == 22


def test_help_lists_plugin_commands(capsys):
    with pytest.raises(SystemExit) as ended:
        run_command_line(["--help"], [("gm-extra", AddsCommand("extra"))])

    assert ended.value.code == 0
    assert "of a plugin" in capsys.readouterr().out


def test_help_works_although_a_plugin_fails(capsys):
    with pytest.raises(SystemExit) as ended:
        run_command_line(["--help"], [("gm-bad", AddsNoCommand())])

    output = capsys.readouterr()
    assert ended.value.code == 0
    assert "profile" in output.out
    assert "'a word'" in output.err


def test_two_plugin_commands_with_the_same_name_are_an_error_that_names_both_plugins(capsys):
    assert run_command_line(["extra"], [("gm-b", AddsCommand("extra")), ("gm-a", AddsCommand("extra"))]) == 70

    error = capsys.readouterr().err
    assert "[commands-conflict]" in error
    assert "'gm-a'" in error
    assert "'gm-b'" in error


def test_a_plugin_command_with_the_name_of_an_own_command_is_an_error(capsys):
    assert run_command_line(["other"], [("gm-b", AddsCommand("profile"))]) == 70

    error = capsys.readouterr().err
    assert "[commands-conflict]" in error
    assert "'gm-b'" in error


def test_own_commands_work_although_a_plugin_fails(capsys):
    assert run_command_line(["profile", "ls", "--json"], [("gm-bad", AddsNoCommand())]) == 0

    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    "line",
    [
        "profle",
        "profile shwo",
        "profile ls --jsn",
        "profile ls --color maybe",
        "plugins -- x",
        "profile add",
        "--jsn",
        "profile --jsn",
    ],
)
def test_a_wrong_command_line_exits_64_with_a_hint(capsys, line):
    assert run_command_line(line.split()) == 64

    output = capsys.readouterr()
    assert output.out == ""
    assert "hint: gentoomuch" in output.err


@pytest.mark.parametrize("line", ["", "profile", "--quiet", "help", "help profile", "--help", "profile --help"])
def test_a_call_without_a_command_lists_commands_and_exits_0(capsys, line):
    """A bare call was a usage error."""
    try:
        status = run_command_line(line.split())
    except SystemExit as exit_:
        status = exit_.code

    output = capsys.readouterr()
    assert (status or 0, output.err) == (0, "")
    assert ("lint" if "profile" in line else "binhost") in output.out


def test_help_lists_each_command_once_and_in_its_group(capsys):
    with pytest.raises(SystemExit):
        run_command_line(["--help"])

    listed = re.findall(r"^  ([a-z]+) {2,}", capsys.readouterr().out, re.MULTILINE)
    assert listed == list(commands.MODULES)


def test_each_command_has_an_example_that_it_accepts():
    parsed = parser.build_parser(commands.load_own_commands())
    for shape in command_tree.gentoomuch().walk():
        examples = list(find_examples(" ".join(shape.path[1:])))
        assert examples, shape.path
        for example in examples:
            arguments, _ = commands._split_at_double_dash(shlex.split(example))
            parsed.parse_args(arguments)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("profile list", "profile ls"),
        ("profile new x --here", "profile add x --here"),
        ("profile create x --here", "profile add x --here"),
        ("profile use x", "profile set x"),
        ("profile remove x", "profile rm x"),
        ("root delete x", "root rm x"),
        ("binhost list", "binhost ls"),
    ],
)
def test_other_names_for_a_command_mean_the_same(typed: str, meant: str):
    build = functools.partial(parser.build_parser, commands.load_own_commands())

    assert vars(build().parse_args(typed.split())) == vars(build().parse_args(meant.split()))


@pytest.mark.parametrize("typed", _SYNONYMS)
def test_each_hint_for_a_synonym_is_a_command_and_the_synonym_is_none(typed: str):
    paths = {" ".join(shape.path) for shape in command_tree.gentoomuch().walk()}
    hint = re.sub(r" (--|-|[A-Z]|@).*", "", _SYNONYMS[typed])

    assert typed not in paths
    assert hint == "gm-emerge" or hint in paths


@pytest.mark.parametrize("name", ["list", "lst", "zzz", "upgrade"])
def test_an_unknown_command_never_suggests_one_that_is_not_alike(capsys, name: str):
    """``list`` suggested isa, and ``upgrade`` patch."""
    assert run_command_line([name]) == 64

    hint = capsys.readouterr().err.partition("hint: ")[2].strip()
    assert hint in {"gentoomuch profile ls", "gentoomuch --help", "gentoomuch update"}


def test_an_unknown_command_suggests_the_nearest(capsys):
    run_command_line(["profile", "shwo"])

    assert "hint: gentoomuch profile show" in capsys.readouterr().err


def test_an_error_with_json_is_one_object_on_stdout(capsys):
    assert run_command_line(["profile", "show", "ghost", "--json"]) == 64

    output = capsys.readouterr()
    assert json.loads(output.out).keys() == {"error", "message", "hint"}
    assert output.err == ""


def test_json_after_double_dash_is_not_parsed(capsys):
    assert run_command_line(["profile", "run", "ghost", "--", "prog", "--json"]) == 64

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [["--config={}", "profile", "ls"], ["profile", "ls", "--config", "{}"]])
def test_general_options_work_before_and_after_the_command(capsys, tmp_path, words):
    (tmp_path / "other/profiles").mkdir(parents=True)
    (tmp_path / "other/profiles/box.toml").write_text("")

    assert run_command_line([word.format(tmp_path / "other") for word in words] + ["--names"]) == 0

    assert capsys.readouterr().out == "box\n"


def test_color_y_overrides_no_color(capsys, monkeypatch, write):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "")  # set by the command, and restored after this test
    write("profiles/box.toml", "")

    run_command_line(["profile", "ls", "--color", "y"])

    assert "\033[" in capsys.readouterr().out


def test_a_state_directory_that_is_a_file_is_an_error_without_traceback(capsys, tmp_path, write):
    write("profiles/box.toml", "")
    (tmp_path / "file").write_text("")

    assert run_command_line(["profile", "set", "box", "--state", str(tmp_path / "file")]) in {69, 77}

    assert "Traceback" not in capsys.readouterr().err


def test_the_template_of_a_profile_has_each_key_with_a_valid_value(write):
    plain = "".join(line.removeprefix("# ") for line in config_profile.text("box").splitlines(keepends=True)[3:])

    values = schema.load(write("profiles/box.toml", plain), schema.PROFILE)

    assert values.keys() == schema.PROFILE.keys()
    assert values["unmask"].keys() == schema.PROFILE["unmask"].keys()
    assert values["binpkg"].keys() == schema.PROFILE["binpkg"].keys()


def test_profile_add_requires_root_or_here(capsys, tmp_path):
    assert run_command_line(["profile", "add", "box", "--config", str(tmp_path)]) == 64

    output = capsys.readouterr().err
    assert {"--root", "--here"} <= {*output.split()}
    assert not (tmp_path / "profiles").exists()


@pytest.mark.parametrize(("words", "root"), [(["--here"], "/"), (["--root", "/srv/a b"], "/srv/a b")])
def test_profile_add_writes_the_root(tmp_path, words, root):
    assert run_command_line(["profile", "add", "box", "--config", str(tmp_path), *words]) == 0
    assert (
        run_command_line(["profile", "add", "twin", "--from", "box", "--root", "/srv/twin", "--config", str(tmp_path)])
        == 0
    )

    for name, expected in (("box", root), ("twin", "/srv/twin")):
        values = schema.load(tmp_path / "profiles" / f"{name}.toml", schema.PROFILE)
        assert values == {"root": expected}


def test_only_the_parser_of_the_named_command_gets_its_arguments():
    added = []
    below = [Command(name, "", lambda _, name=name: added.append(name), lambda *_: 0) for name in ("ls", "rm")]
    top = [
        parser.group_commands("profile", "", below),
        Command("root", "", lambda _: added.append("root"), lambda *_: 0),
    ]

    args = parser.build_parser(top).parse_args(["profile", "ls"])

    assert (args.command, args.profile_command, added) == ("profile", "ls", ["ls"])


def test_profile_ls_runs_functions_of_at_most_15_files(write):
    """It ran those of 47, since each command's arguments were added for any command."""
    write("profiles/box.toml", 'cpu = "haswell"\n')
    house = Path(__file__).parents[3] / "tools/house"

    traced = subprocess.run([sys.executable, house, "--trace", *["gentoomuch", "profile", "ls"]], capture_output=True)

    count = re.search(rb"^(\d+) files, \d+ calls", traced.stderr, re.M)
    assert b"box" in traced.stdout
    assert count
    assert 5 < int(count[1]) <= 15


def test_loading_all_commands_imports_no_heavy_module():
    code = "import sys; from gentoomuch_portage.cli import commands; commands.load_own_commands(); print(*sys.modules)"
    heavy = {"emerge.run", "reports", "plan", "configroot", "pkgindex", "containers"}

    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {f"gentoomuch_portage.{name}" for name in heavy} & {*modules}
    assert "urllib3" not in modules
    assert "_emerge" not in modules


@pytest.mark.parametrize("words", [["profile", "lint", "--hlp"], ["history", "--hlp", "a/b"]], ids=" ".join)
def test_an_unknown_option_hints_at_the_help_of_its_command(words, capsys):
    command = " ".join(word for word in words if word in {"profile", "lint", "history"})

    assert (run_command_line(words), f"hint: gentoomuch {command} --help" in capsys.readouterr().err) == (64, True)


def test_command_line_beats_gm_profile_beats_the_active_profile(monkeypatch, settings):
    monkeypatch.setenv("GM_PROFILE", "server")
    settings.state.mkdir()
    (settings.state / "profile").write_text("laptop\n")

    named = [parser.require_profile(settings, argparse.Namespace(name=name)) for name in (None, "router")]

    assert named == ["server", "router"]


def test_a_user_can_unset_the_active_profile_that_root_has_set(settings, tmp_path):
    (tmp_path / "system").mkdir()
    (tmp_path / "system/profile").write_text("server\n")
    ours = settings._replace(shared=tmp_path / "system")

    cli_profile.COMMAND.work(ours, argparse.Namespace(profile_command="set", unset=True, name=None, quiet=True))

    assert (settings.chosen, ours.chosen) == ("", "")
