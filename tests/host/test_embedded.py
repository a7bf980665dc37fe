# SPDX-License-Identifier: GPL-2.0-or-later
"""A Gentoo host in a folder: made whole or made again, refused where it cannot be, and its story."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import demo_host
from gentoomuch_portage.demo_host import Host, demo
from gentoomuch_portage.demo_host import host as demo_host_host
from gentoomuch_portage.errors import MissingProgram, NoPrivilege

MAKE = "import sys, pathlib; from gentoomuch_portage import demo_host; demo_host.make(pathlib.Path(sys.argv[1]))"
KILLED_IN = """
import os, signal
from gentoomuch_portage.demo_host import {module}
{module}.{name} = lambda *told, **named: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A PATH that has all programs of this machine but those that are named: ``only(without=["gcc"])``."""

    def path(without: list[str]) -> None:
        folder = tmp_path / "path"
        folder.mkdir()
        for place in ("/usr/bin", "/bin", "/usr/local/bin"):
            for program in Path(place).iterdir():
                if program.name not in without and not (folder / program.name).is_symlink():
                    (folder / program.name).symlink_to(program)
        monkeypatch.setenv("PATH", str(folder))

    return path


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_search_finds_demo_packages_by_description(host: Host, on):
    assert "[ Applications found : 1 ]" in on("emerge", "--searchdesc", "shared library").out


def test_a_host_that_is_made_is_not_made_again(host: Host):
    before = host.made.stat().st_mtime_ns

    again = demo_host.make(host.folder)

    assert (again, again.made.stat().st_mtime_ns) == (host, before)


@pytest.mark.parametrize(
    ("module", "name"), [("host", "write_programs"), ("repository", "write_repository"), ("repository", "manifest")]
)
def test_a_making_that_was_killed_is_finished_by_the_next(tmp_path: Path, module: str, name: str):
    folder = tmp_path / "host"
    demo_host.make(folder)
    whole = content(folder)
    shutil.rmtree(folder)
    code = KILLED_IN.format(module=module, name=name) + MAKE
    killed = subprocess.run([sys.executable, "-c", code, folder], check=False)
    assert killed.returncode == -signal.SIGKILL

    demo_host.make(folder)

    assert content(folder) == whole


def test_two_concurrent_creations_leave_one_complete_host(tmp_path: Path):
    both = [subprocess.Popen([sys.executable, "-c", MAKE, tmp_path / "host"]) for _ in range(2)]

    assert [one.wait() for one in both] == [0, 0]
    assert content(demo_host.make(tmp_path / "host").folder) == content(tmp_path / "host")


def test_a_host_of_another_version_is_updated_and_keeps_added_files(host: Host):
    host.made.write_text(f"{host.folder}\ngentoomuch 0.0.1\n")
    host.profile("mine", 'cpu = "native"\n')
    (host.bin / "gtar").write_text("outdated")
    (host.etc / "make.conf").write_text('CFLAGS="-O3"\n')

    demo_host.make(host.folder)

    assert "outdated" not in (host.bin / "gtar").read_text()
    assert (host.config / "profiles/mine.toml").is_file()
    assert (host.etc / "make.conf~").read_text() == 'CFLAGS="-O3"\n'


def test_a_directory_with_other_files_is_not_changed(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with raises("folder-taken"):
        demo_host.make(tmp_path)

    assert content(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_moved_host_is_rejected(host: Host):
    moved = host.folder.rename(host.folder.with_name("elsewhere"))

    with raises("host-moved"):
        demo_host.make(moved)


@pytest.mark.parametrize("name", ["a:b", 'say "so"', "$HOME", "one\ntwo", "it's"])
def test_a_path_that_portage_does_not_support_is_rejected(tmp_path: Path, name: str):
    with raises("unfit-path"):
        demo_host.make(tmp_path / name)

    assert not (tmp_path / name).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_directory_is_rejected(tmp_path: Path):
    tmp_path.chmod(0o555)

    with pytest.raises(NoPrivilege):
        demo_host.make(tmp_path / "host")


def test_a_user_without_a_name_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)

    with raises("nameless-user"):
        demo_host.make(tmp_path / "host")


@pytest.mark.slow
def test_packages_are_built_and_removed_in_a_path_with_a_space(tmp_path: Path):
    host = demo_host.make(tmp_path / "my gentoo")
    run = {"env": host.env(), "capture_output": True, "check": True}

    subprocess.run(["gm-emerge", "--quiet", "gm-hello"], **run)
    said = subprocess.run([host.eprefix / "usr/bin/gm-hello"], text=True, **run).stdout
    subprocess.run(["gm-emerge", "--quiet", "--unmerge", "gm-hello"], **run)

    assert said.startswith("hello, built with -O2 -pipe")
    assert not (host.eprefix / "usr/bin/gm-hello").exists()


@pytest.mark.parametrize("need", demo_host_host.NEEDS, ids=lambda need: need.names[0])
def test_a_missing_program_is_named_with_the_package_of_three_distributions(only, tmp_path: Path, need):
    only(without=list(need.names))

    with pytest.raises(MissingProgram) as missing:
        demo_host.make(tmp_path / "host")

    assert all(name in missing.value.hint for name in (need.gentoo, need.debian, need.fedora))
    assert not (tmp_path / "host").exists()


def test_with_clang_alone_the_host_has_the_compiler_names_of_portage(only, tmp_path: Path):
    only(without=["gcc", "cc", "clang"])
    clang = tmp_path / "path/clang"
    clang.write_text('#!/bin/sh\necho "clang called with $*"\n')
    clang.chmod(0o755)

    host = demo_host.make(tmp_path / "host")

    [compiler] = host.bin.glob("*-linux-gnu-gcc")
    assert (
        subprocess.run([compiler, "-c"], capture_output=True, text=True, check=True).stdout == "clang called with -c\n"
    )


def test_packing_gives_equal_bytes_whatever_the_umask_was(tmp_path: Path):
    for name, mode in (("one", 0o600), ("two", 0o664)):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "src/main.c").write_text("int main(void) { return 0; }\n")
        (tmp_path / name / "src/main.c").chmod(mode)
        demo_host.pack(tmp_path / name / "src", tmp_path / f"{name}.tar.gz")

    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_a_shell_that_reads_env_sh_is_on_the_host(host: Host):
    said = subprocess.run(
        ["sh", "-euc", '. "$1"; gm-emerge --gm-version; emerge --info', "sh", host.folder / "env.sh"],
        env={"PATH": "/usr/bin:/bin", "ROOT": "/elsewhere", "GM_PROFILE": "nobody"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert f"{host.repository}" in said


@pytest.mark.slow
def test_the_demo_builds_each_program_with_the_flags_of_its_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    status = demo.run_demo(tmp_path / "demo")

    told = capsys.readouterr().out.splitlines()
    assert status == 0
    assert len(told) < 30
    assert [line for line in told if "HELLO! built with -O2" in line]
    assert [line for line in told if "hello, built with -Os" in line]


def test_the_story_of_a_build_that_fails_shows_the_end_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    host = demo_host.make(tmp_path / "demo")
    broken = host.repository / "dev-demo/libgreet/libgreet-1.0.ebuild"
    broken.write_text(broken.read_text().replace("src_compile() {", "src_compile() {\n\tdie 'no paper'"))
    subprocess.run(["ebuild", broken, "manifest"], env=host.env(), capture_output=True, check=True)

    status = demo.run_demo(host.folder)

    shown = capsys.readouterr().err
    assert status == 1
    assert "no paper" in shown
    assert "laptop.log" in shown


@pytest.mark.slow
def test_a_quiet_demo_prints_nothing(host: Host, capsys: pytest.CaptureFixture[str]):
    assert demo.run_demo(host.folder, quiet=True) == 0
    assert capsys.readouterr() == ("", "")


def test_a_program_that_was_built_for_another_machine_ends_the_story(host: Host, monkeypatch: pytest.MonkeyPatch):
    def build(host: Host, machine: demo.Machine, told: demo.Output) -> int:
        program = (host.folder / machine.name).resolve() / "usr/bin/gm-hello"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho 'HELLO! built with -O2 -march=z80'\n")
        program.chmod(0o755)
        return 0

    monkeypatch.setattr(demo, "_build", build)

    with raises("wrong-program"):
        demo.run_demo(host.folder)
