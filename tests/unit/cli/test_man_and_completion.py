# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells take completion as it is meant, and man pages render; tests/unit/test_docs.py: they are up to date."""

import os
import shutil
import subprocess
from pathlib import Path

import manual
import pytest
from manual import command_tree, emerge_options

SHARE = Path(__file__).parents[3] / "share"
MAN = sorted(str(path.relative_to(SHARE)) for path in SHARE.glob("man/*/*"))


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The pages as the code makes them now."""
    return dict(manual.made())


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


def test_every_option_of_emerge_is_found():
    found = {name for one in emerge_options.emerge_options() for name in one.names}

    assert {"--pretend", "-p", "--ask", "-a", "--jobs", "--sync", "--unmerge", "-C"} <= found


def test_an_optional_value_of_an_emerge_option_has_choices():
    ask = next(one for one in emerge_options.emerge_options() if "--ask" in one.names)

    assert (ask.takes, ask.choices) == (True, ("y", "n"))


def test_emerge_can_parse_options_after_they_were_collected():
    emerge_options.emerge_options()

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


def test_the_man_page_of_gm_emerge_has_every_own_option(made):

    from gentoomuch_portage.plan.request import OPTIONS

    page = made["man/man1/gm-emerge.1"].replace("\\-", "-")

    assert [word for word in OPTIONS if word not in page] == []


def test_the_man_page_of_gentoomuch_has_every_command(made):
    page = made["man/man1/gentoomuch.1"].replace("\\-", "-")

    every = [" ".join(one.path[1:]) for one in command_tree.gentoomuch().walk() if not one.below]

    assert [name for name in every if f"\\fB{name}\\fR" not in page] == []


def test_bash_completes_a_command(bash):
    assert bash("gentoomuch prof") == ["profile"]


def test_bash_completes_a_command_below_a_command(bash):
    assert bash("gentoomuch --config /x profile s") == ["show", "set", "set-key"]


def test_bash_completes_the_name_of_a_profile(bash):
    assert bash("gentoomuch profile show r") == ["router"]


def test_bash_completes_the_second_profile_of_a_diff(bash):
    assert bash("gentoomuch profile diff router ") == ["desktop", "router"]


def test_bash_completes_no_names_for_commands_without_arguments(bash):
    assert "router" not in bash("gentoomuch profile show desktop ")


def test_bash_completes_options_of_the_command_only(bash):
    assert bash("gentoomuch profile ls --g") == ["--gentoo"]
    assert bash("gentoomuch profile show --g") == []


def test_bash_completes_programs_behind_two_dashes(bash):
    assert "gentoomuch" in bash("gentoomuch profile run router -- gentoomu")


def test_bash_completes_a_value_after_an_equals_sign(bash):
    assert bash("gm-emerge -p --gm-profile=") == ["desktop", "router"]
    assert bash("gm-emerge -p --gm-profile=ro") == ["router"]


def test_bash_completes_options_of_emerge_and_their_choices(bash):
    assert bash("gm-emerge --ask-e") == ["--ask-enter-invalid"]
    assert bash("gm-emerge --ask=") == ["y", "n"]
    assert bash("gm-emerge --ask @w") == ["@world"]


def test_fish_completes_commands_names_and_options(fish):
    assert fish("gentoomuch profile --config /x s") == ["set", "set-key", "show"]
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


def test_only_options_that_take_a_profile_are_completed_with_profiles():
    """``binhost serve --user`` offered profiles: its placeholder was NAME."""
    named = {name for shape in command_tree.gentoomuch().walk() for option in shape.options
             if option.kind == "profile" for name in option.names}  # fmt: skip

    assert named <= {"--profile", "--from", "--as"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a repository of four packages, and a set of packages."""
    files = {
        "etc/portage/repos.conf/gentoo.conf": f"[gentoo]\nlocation = {tmp_path}/repo\n",
        "etc/portage/sets/mine": "",
        "repo/profiles/categories": "app-misc\ndev-libs\nvirtual\n",
        "repo/app-misc/hello/hello-1.ebuild": "",
        "repo/app-misc/help2man/help2man-1.ebuild": "",
        "repo/dev-libs/hello$(id)/x.ebuild": "",
        "repo/virtual/hello/hello-0.ebuild": "",
        "repo/metadata/md5-cache/app-misc/hello-1": "EAPI=8\nIUSE=+nls static test\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PORTAGE_CONFIGROOT", str(tmp_path))
    return tmp_path / "repo"


PACKAGES = [
    ("hello", ["hello", "hello$(id)"]),
    ("hel", ["hello", "hello$(id)", "help2man"]),
    ("app-misc/", ["app-misc/hello", "app-misc/help2man"]),
    ("app", ["app-misc/"]),
    ("virtual/h", ["virtual/hello"]),
    ("app-misc/hello[", ["app-misc/hello[nls", "app-misc/hello[static", "app-misc/hello[test"]),
    ("app-misc/hello[nls,s", ["app-misc/hello[nls,static"]),
    ("@m", ["@machine", "@mine"]),
    ("zz'", []),
]
"""Word -> what completes it."""


@pytest.mark.parametrize(("word", "words"), PACKAGES)
def test_bash_completes_packages_sets_and_use_flags_of_gm_emerge(word: str, words: list[str], path, repository: Path):
    script = 'source "$0"; COMP_WORDS=(gm-emerge -p "$1"); COMP_CWORD=2; _gm_emerge; printf "%s\\n" "${COMPREPLY[@]}"'
    argv = ["bash", "--norc", "-c", script, str(SHARE / "bash-completion/completions/gm-emerge"), word]

    ended = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})

    assert (ended.stderr, ended.stdout.split()) == ("", words)


@pytest.mark.parametrize("word", ["hel", "app-misc/", "@m"])
def test_fish_completes_packages_and_sets_of_gm_emerge(word: str, fish, repository: Path):
    assert set(fish(f"gm-emerge -p {word}")) >= set(dict(PACKAGES)[word])


def test_zsh_completes_packages_of_gm_emerge(repository: Path):
    """zsh completes in a terminal only: its function is called with a ``compadd`` that prints."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    script = 'compadd() { print -rl -- "${@[$@[(i)--] + 1,-1]}" }; _arguments() { : }; PREFIX=hel; source "$0"'
    script += "; _gm_emerge_packages"

    argv = ["zsh", "-f", "-c", script, str(SHARE / "zsh/site-functions/_gm-emerge")]
    ended = subprocess.run(argv, capture_output=True, text=True, check=True)

    assert (ended.stderr, ended.stdout.split()) == ("", dict(PACKAGES)["hel"])


def test_bash_completes_kinds_of_isolation(bash):
    assert bash("gm-emerge --gm-isolation=b") == ["bwrap"]
