"""Man pages and completion are up to date, and the shells take them as they are meant."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gentoomuch_portage.cli import docs
from gentoomuch_portage.cli.docs import command_tree
from gentoomuch_portage.portage_adapter import emerge, private_api

SHARE = Path(__file__).parents[3] / "share"
NAMES = sorted(str(path.relative_to(SHARE)) for path in SHARE.rglob("*") if path.is_file())
MAN = [name for name in NAMES if name.startswith("man/")]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The pages as the code makes them now."""
    return dict(docs.made())


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a gentoomuch that knows two profiles."""
    program = tmp_path / "bin/gentoomuch"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$*" = "profile ls --names" ] && printf "desktop\\nrouter\\n"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.fixture
def bash(path):
    """The completions that bash offers for a line as it parts it: at spaces and at ``=``."""

    def offered(line: str) -> list[str]:
        split = line.replace("=", " = ").split(" ")
        typed = [word for word in split[:-1] if word] + [split[-1]]
        name = typed[0]
        script = (
            'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
            f"_{name.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        argv = ["bash", "--norc", "-c", script, str(SHARE / "bash-completion/completions" / name), *typed]
        ended = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PATH": path})
        assert ended.stderr == ""
        return ended.stdout.split()

    return offered


@pytest.fixture
def fish(path):
    """The completions that fish offers for a line, without their descriptions."""
    program = shutil.which("fish")
    if program is None:
        pytest.skip("fish is not installed")

    def offered(line: str) -> list[str]:
        folder = SHARE / "fish/vendor_completions.d"
        script = f"source {folder}/{line.split()[0]}.fish; complete -C '{line}'"
        argv = [program, "--no-config", "-c", script]
        ended = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})
        return [one.partition("\t")[0] for one in ended.stdout.splitlines()]

    return offered


def test_there_is_a_page_of_each_kind_for_each_command(made):
    assert sorted(made) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_in_share_is_what_the_code_makes(made, name):
    kept = (SHARE / name).read_text()
    if "those of Portage" in kept and f"those of Portage {private_api.version()}." not in kept:
        pytest.skip(f"the options of another Portage than {private_api.version()} are kept")

    assert kept == made[name], "run: python -m gentoomuch_portage.cli.docs share"


def test_every_option_of_emerge_is_found():
    found = {name for one in emerge.emerge_options() for name in one.names}

    assert {"--pretend", "-p", "--ask", "-a", "--jobs", "--sync", "--unmerge", "-C"} <= found


def test_an_option_of_emerge_that_may_go_without_a_value_tells_its_choices():
    ask = next(one for one in emerge.emerge_options() if "--ask" in one.names)

    assert (ask.takes, ask.choices) == (True, ("y", "n"))


def test_emerge_can_still_parse_after_its_options_were_taken():
    emerge.emerge_options()

    from _emerge.main import parse_opts

    assert parse_opts(["--pretend", "foo"], silent=True)[1]["--pretend"] is True


@pytest.mark.parametrize("name", MAN)
def test_a_man_page_renders_without_a_warning(name):
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")

    ended = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", str(SHARE / name)], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_man_page_of_gm_emerge_tells_every_word_of_ours(made):
    from gentoomuch_portage.plan.request import WORDS

    told = made["man/man1/gm-emerge.1"].replace("\\-", "-")

    assert [word for word in WORDS if word not in told] == []


def test_the_man_page_of_gentoomuch_tells_every_command(made):
    told = made["man/man1/gentoomuch.1"]

    every = [" ".join(one.path[1:]) for one in command_tree.gentoomuch().every() if not one.below]

    assert [name for name in every if f"\\fB{name}\\fR" not in told] == []


def test_bash_completes_a_command(bash):
    assert bash("gentoomuch prof") == ["profile"]


def test_bash_completes_a_command_below_a_command(bash):
    assert bash("gentoomuch --config /x profile s") == ["show", "set"]


def test_bash_completes_the_name_of_a_profile(bash):
    assert bash("gentoomuch profile show r") == ["router"]


def test_bash_completes_the_second_profile_of_a_diff(bash):
    assert bash("gentoomuch profile diff router ") == ["desktop", "router"]


def test_bash_completes_no_name_where_none_is_taken(bash):
    assert "router" not in bash("gentoomuch profile show desktop ")


def test_bash_completes_an_option_of_one_command_alone(bash):
    assert bash("gentoomuch profile ls --g") == ["--gentoo"]
    assert bash("gentoomuch profile show --g") == []


def test_bash_completes_programs_behind_two_dashes(bash):
    assert "gentoomuch" in bash("gentoomuch profile run router -- gentoomu")


def test_bash_completes_a_value_behind_the_sign_it_parts_words_at(bash):
    assert bash("gm-emerge -p --gm-profile=") == ["desktop", "router"]
    assert bash("gm-emerge -p --gm-profile=ro") == ["router"]


def test_bash_completes_options_of_emerge_and_their_choices(bash):
    assert bash("gm-emerge --ask-e") == ["--ask-enter-invalid"]
    assert bash("gm-emerge --ask=") == ["y", "n"]
    assert bash("gm-emerge --ask @w") == ["@world"]


def test_fish_completes_commands_names_and_words(fish):
    assert fish("gentoomuch profile --config /x s") == ["set", "show"]
    assert fish("gentoomuch profile show r") == ["router"]
    assert fish("gm-emerge --gm-profile=r") == ["--gm-profile=router"]


@pytest.mark.parametrize("name", ["gentoomuch", "gm-emerge"])
def test_zsh_can_parse_its_completion(name):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")

    ended = subprocess.run(
        ["zsh", "-n", str(SHARE / f"zsh/site-functions/_{name}")], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
