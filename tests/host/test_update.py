# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch update``: several profiles after one sync, with packages that are built once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.sync import upstream
from helpers.waiting import HANG

from gentoomuch_portage import history
from gentoomuch_portage.demo_host import Host
from gentoomuch_portage.demo_host.host import write

GREET = "dev-demo/libgreet"
FAILING = """EAPI=8
DESCRIPTION="A package that cannot be built"
S="${WORKDIR}"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64 arm64 ppc64 riscv x86"
src_compile() { die "no"; }
"""
# The program that sleeps prints the line: a shell that has not started it yet would start it in spite of a signal.
SLEEPING = """bash -c 'echo; echo "compile began"; exec sleep 600'"""
BIN = Path(sys.executable).parent
PARENTS = """
import os
from gentoomuch_portage.api import hookimpl

def _write(number):
    with open("{file}", "a", encoding="utf-8") as file:
        file.write(f"{{number}}\\n")

_write(os.getpid())

@hookimpl
def gm_after_run():
    _write(os.getppid())
"""


@pytest.fixture
def profiles(host: Host, tmp_path: Path):
    """Write profiles with roots of their own: ``profiles(new='cpu = "x86-64-v3"')``."""

    def write_profiles(**texts: str) -> None:
        for name, text in texts.items():
            host.profile(name, f'root = "{tmp_path}/roots/{name}"\n{text}\n')

    return write_profiles


@pytest.fixture
def is_installed(host: Host, tmp_path: Path):
    def check(profile: str, cpv: str) -> bool:
        return (host.eroot(tmp_path / "roots" / profile) / "var/db/pkg" / cpv).is_dir()

    return check


def summary(output: str) -> list[list[str]]:
    """Return the cells of the summary without the time, the profile first."""
    lines = output.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("profile"))
    return [line.replace("not run", "not-run").split()[:6] for line in lines[start + 1 :]]


@pytest.mark.slow
def test_update_builds_shared_packages_once_for_the_weakest_cpu(host, on, profiles, is_installed):
    packages = f'packages = ["{GREET}"]'
    profiles(a=f'cpu = "x86-64-v3"\n{packages}', b=f'cpu = "x86-64"\n{packages}', c=f'cpu = "x86-64-v2"\n{packages}')

    ended = on("gentoomuch", "update", "--all", "--", "--quiet")

    assert ended.status == 0, ended.err
    assert summary(ended.out) == [
        ["b", "success", "1", "1", "0", "0"],
        ["c", "success", "1", "0", "1", "0"],
        ["a", "success", "1", "0", "1", "0"],
    ]
    assert all(is_installed(name, f"{GREET}-1.0") for name in "abc")
    assert on("gentoomuch", "status").status == 0


def test_pretend_installs_nothing(host, on, profiles, is_installed):
    profiles(a=f'packages = ["{GREET}"]')

    ended = on("gentoomuch", "update", "a", "--pretend")

    assert ended.status == 0, ended.err
    assert f"{GREET}-1.0" in ended.out
    assert not is_installed("a", f"{GREET}-1.0")


@pytest.mark.slow
@pytest.mark.parametrize(("options", "result"), [((), "not-run"), (("--keep-going",), "success")])
def test_after_a_failure_other_profiles_are_updated_only_with_keep_going(
    host, on, profiles, is_installed, options, result
):
    write(host.repository / "app-demo/failing/failing-1.0.ebuild", FAILING)
    profiles(a='packages = ["app-demo/failing"]', b=f'packages = ["{GREET}"]')

    ended = on("gentoomuch", "update", "--all", *options, "--", "--quiet")

    assert ended.status == 1
    assert [row[:2] for row in summary(ended.out)] == [["a", "failed"], ["b", result]]
    assert is_installed("b", f"{GREET}-1.0") == (result == "success")


@pytest.mark.slow
@pytest.mark.parametrize(("options", "installed"), [((), False), (("--keep-going",), True)])
def test_an_invalid_profile_ends_the_command_before_anything_is_built_or_is_left_out(
    host, on, profiles, is_installed, options, installed
):
    profiles(a='layers = ["nosuch"]', b=f'packages = ["{GREET}"]')

    ended = on("gentoomuch", "update", "--all", *options, "--", "--quiet")

    assert ended.status == 78
    assert "\ngentoomuch:     hint: " in ended.err
    assert is_installed("b", f"{GREET}-1.0") == installed


def test_repositories_are_synced_once_for_all_profiles(host, on, profiles, is_installed):
    origin = upstream(host)
    ebuild = next((origin.folder / GREET).glob("*.ebuild"))
    write(ebuild.with_name("extra"), "")
    origin.commit("note")
    profiles(a="", b="")

    ended = on("gentoomuch", "update", "--all")

    assert ended.status == 0, ended.err
    assert (host.repository / "note").exists()
    assert (ended.out + ended.err).count("Syncing repository") == 1


def test_no_sync_leaves_the_repositories_as_they_are(host, on, profiles):
    upstream(host).commit("note")
    profiles(a="")

    ended = on("gentoomuch", "update", "a", "--no-sync")

    assert ended.status == 0, ended.err
    assert not (host.repository / "note").exists()


@pytest.fixture
def sleeping_update(host: Host, profiles) -> Iterator["subprocess.Popen[str]"]:
    """Start an update of the profiles a and b; return it while it builds a package for a, which takes forever."""
    write(host.repository / "app-demo/sleeping/sleeping-1.0.ebuild", FAILING.replace('die "no"', SLEEPING))
    profiles(a='packages = ["app-demo/sleeping"]', b=f'packages = ["{GREET}"]')
    argv = [BIN / "gentoomuch", "update", "--all", "--no-sync", "--", "--quiet-build=n"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(argv, env=host.env(), start_new_session=True, **pipes) as update:
        try:
            assert any(line.startswith("compile began") for line in update.stdout)
            yield update
        finally:
            with suppress(ProcessLookupError):
                os.killpg(update.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_update_ends_emerge_and_names_the_commands_that_continue(
    host, on, sleeping_update, is_installed, number, status
):
    os.killpg(sleeping_update.pid, number)  # as a terminal does, and systemd
    out, _ = sleeping_update.communicate(timeout=HANG)

    assert sleeping_update.returncode == status, out
    assert "hint: gm-emerge --gm-profile=a --resume" in out
    assert "hint: gentoomuch update --no-sync b" in out
    assert [row[:2] for row in summary(out)][:2] == [["a", "interrupted"], ["b", "not-run"]]
    assert [run.status for run in history.read_runs(host.eprefix / "var/lib/gentoomuch", "a")] == [128 + number]

    ebuild = host.repository / "app-demo/sleeping/sleeping-1.0.ebuild"
    write(ebuild, ebuild.read_text().replace(SLEEPING, ":"))
    resumed = on("gm-emerge", "--gm-profile=a", "--resume", "--quiet")
    assert resumed.status == 0, resumed.out + resumed.err
    assert is_installed("a", "app-demo/sleeping-1.0")


@pytest.mark.slow
def test_a_second_update_is_rejected_while_the_first_runs(on, sleeping_update):
    second = on("gentoomuch", "update", "b", "--no-sync", "--json")

    assert second.status == 75
    assert json.loads(second.out)["error"] == "update-running"
    assert on("gentoomuch", "update", "b", "--pretend").status == 0


@pytest.mark.slow
def test_json_on_stdout_has_the_result_of_each_profile_and_the_phase_that_failed(host, on, profiles):
    write(host.repository / "app-demo/failing/failing-1.0.ebuild", FAILING)
    profiles(a='packages = ["app-demo/failing"]', b=f'packages = ["{GREET}"]', c='layers = ["nosuch"]')

    ended = on("gentoomuch", "update", "--all", "--no-sync", "--keep-going", "--json")

    results = {result["profile"]: result for result in json.loads(ended.out)}
    counts = ("state", "status", "merged", "built", "from_binpkg", "failed")
    assert ended.status == 78
    assert [results["a"][key] for key in counts] == ["failed", 1, 0, 0, 0, ["app-demo/failing-1.0"]]
    assert results["a"]["reason"] == "app-demo/failing-1.0 failed in compile"
    assert [results["b"][key] for key in counts] == ["success", 0, 1, 1, 0, []]
    assert [results["c"][key] for key in counts] == ["failed", 78, 0, 0, 0, []]


def test_all_profiles_are_updated_by_forks_of_one_process(host, on, profiles, tmp_path):
    """A plugin writes the parent of each run; a run of its own would have another one."""
    profiles(a="", b="")
    write(tmp_path / "plugins/gm_parents.py", PARENTS.format(file=tmp_path / "parents"))
    write(tmp_path / "plugins/gm_parents-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: gm-parents\nVersion: 1\n")
    write(tmp_path / "plugins/gm_parents-1.dist-info/entry_points.txt", "[gentoomuch_portage]\nparents = gm_parents\n")

    ended = on("gentoomuch", "update", "--all", "--pretend", PYTHONPATH=str(tmp_path / "plugins"))

    assert ended.status == 0, ended.err
    prepared, *parents = (tmp_path / "parents").read_text().split()
    assert parents == [prepared, prepared]
