# SPDX-License-Identifier: GPL-2.0-or-later
"""``gentoomuch farm``: packages of a queue are built in real containers and published, through kills -9."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import BIN, Ended, Run
from helpers.containers import some
from helpers.processes import command_lines
from helpers.waiting import HANG, wait_for

from gentoomuch_portage.demo_host import Host

_EBUILD = """EAPI=8
DESCRIPTION="A package of the tests of the farm"
LICENSE="GPL-2+"
SLOT="{slot}"
KEYWORDS="amd64 arm64 ppc64 riscv"
S="${{WORKDIR}}"
{more}
src_install() {{
	insinto /usr/share/${{PN}}
	newins - version <<<"${{PVR}}"
	{install}
}}
"""
Write = Callable[..., None]


@pytest.fixture
def write(host: Host) -> Write:
    """Write an ebuild: ``write("tool-1", more="BDEPEND=...", install="die")``."""
    host.profile("router", 'cpu = "x86-64-v2"\n')
    host.profile("other", 'cpu = "x86-64-v2"\n')

    def write(name: str, *, slot: str = "0", more: str = "", install: str = "") -> None:
        file = host.repository / "app-demo" / name.rpartition("-")[0] / f"{name}.ebuild"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_ebuild(slot=slot, more=more, install=install))

    return write


@pytest.fixture
def chain(write: Write) -> None:
    """Three packages: leaf needs tool to be built, which needs lib to run; each dies without what it needs."""
    write("lib-1", slot="0/3")
    write("tool-1", more='RDEPEND="app-demo/lib"')
    need = "[[ -e ${ESYSROOT}/usr/share/tool/version && -e ${ESYSROOT}/usr/share/lib/version ]] || die"
    write("leaf-1", more='BDEPEND="app-demo/tool"', install=need)


def _farm(on: Run, *words: str | Path, **env: str) -> Any:
    ended = on("gentoomuch", "farm", *words, "--json", **env)
    assert ended.status == 0, ended.out + ended.err
    return json.loads(ended.out)


def _serve(on: Run, top: Path) -> Ended:
    ended = on("gentoomuch", "farm", "serve", top, "--until-idle")
    assert ended.status == 0, ended.out + ended.err
    return ended


def _states(on: Run) -> dict[str, str]:
    return {job["cpv"].rpartition("/")[2]: job["state"] for job in _farm(on, "ls")}


def _published(top: Path) -> set[str]:
    text = (top / "current/Packages").read_text()
    return {line.rpartition("/")[2] for line in text.splitlines() if line.startswith("CPV: ")}


def _logs(host: Host) -> int:
    """The number of builds that have printed something; one that was killed before it began has not."""
    logs = (host.eprefix / "var/lib/gentoomuch/.farm/logs").glob("*.log")
    return sum(1 for log in logs if log.stat().st_size)


@pytest.mark.usefixtures("chain")
def test_a_wish_adds_what_its_build_needs_and_is_equal_in_a_second_profile(on: Run) -> None:
    added = _farm(on, "add", "router", "app-demo/leaf")
    assert {job["cpv"]: job["state"] for job in added} == {
        "app-demo/lib-1": "ready",
        "app-demo/tool-1": "ready",
        "app-demo/leaf-1": "waiting",
    }
    again = _farm(on, "add", "other", "app-demo/leaf", CFLAGS="-O0", USE="none", PKGDIR="/nowhere")
    assert {job["key"] for job in again} == {job["key"] for job in added}


def _ebuild(*, slot: str = "0", more: str = "", install: str = "") -> str:
    return _EBUILD.format(slot=slot, more=more, install=install)


def _keys(on: Run) -> dict[str, str]:
    return {job["cpv"]: job["key"] for job in _farm(on, "add", "router", "app-demo/leaf")}


_CHANGES: dict[str, Callable[[Host], object]] = {
    "ebuild": lambda host: _put(
        host.repository / "app-demo/leaf/leaf-1.ebuild", _ebuild(more='BDEPEND="app-demo/tool"')
    ),
    "file": lambda host: _put(host.repository / "app-demo/leaf/files/new"),
    "distfile": lambda host: _put(host.repository / "app-demo/leaf/Manifest", "DIST a 1 SHA512 00\n"),
    "flags": lambda host: _put(host.etc / "env/small", 'CFLAGS="-Os"\n')
    and _put(host.etc / "package.env", "app-demo/leaf small\n"),
    "patch": lambda host: _put(host.etc / "patches/app-demo/leaf/a.patch", "--- a\n"),
    "bashrc": lambda host: _put(host.etc / "bashrc", "# nothing\n"),
    "profile": lambda host: _put(host.repository / "profiles/machine/profile.bashrc", "# nothing\n"),
    "env": lambda host: _put(host.etc / "env/app-demo/leaf", "# nothing\n"),
    "slot": lambda host: _put(
        host.repository / "app-demo/tool/tool-1.ebuild", _ebuild(slot="0/7", more='RDEPEND="app-demo/lib"')
    ),
}  # fmt: skip


def _put(path: Path, text: str = "new\n") -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    later = path.stat().st_mtime + 10  # Portage compares times of ebuilds in seconds
    os.utime(path, (later, later))
    return True


@pytest.mark.slow
@pytest.mark.parametrize("change", _CHANGES)
@pytest.mark.usefixtures("chain")
def test_each_input_of_a_build_changes_the_key(change: str, host: Host, on: Run) -> None:
    before = _keys(on)
    _CHANGES[change](host)
    assert before["app-demo/leaf-1"] != _keys(on)["app-demo/leaf-1"]


@pytest.mark.slow
@pytest.mark.usefixtures("chain")
def test_another_package_and_the_version_of_a_dependency_do_not_change_the_key(
    host: Host, write: Write, on: Run
) -> None:
    before = _keys(on)
    write("tool-1.1", more='RDEPEND="app-demo/lib"')
    host.write("package.use", "# a comment\napp-demo/other flag\n")
    after = _keys(on)
    assert "app-demo/tool-1.1" in after
    assert before["app-demo/leaf-1"] == after["app-demo/leaf-1"]


@pytest.mark.slow
@pytest.mark.usefixtures("chain")
def test_a_wish_is_built_in_order_and_published_and_a_second_profile_builds_nothing(
    host: Host, on: Run, tmp_path: Path
) -> None:
    some()
    top = tmp_path / "binhosts"
    _farm(on, "add", "router", "app-demo/leaf")
    _serve(on, top)
    assert _states(on) == {"lib-1": "done", "tool-1": "done", "leaf-1": "done"}
    assert _published(top / "router") == {"lib-1", "tool-1", "leaf-1"}
    assert _logs(host) == 3
    _farm(on, "add", "other", "app-demo/leaf")
    assert on("gentoomuch", "profile", "rm", "other", "--yes").status == 0
    _serve(on, top)  # nobody to publish for: it was removed
    assert not (top / "other").exists()
    host.profile("other", 'cpu = "x86-64-v2"\n')
    _serve(on, top)
    assert _published(top / "other") == {"lib-1", "tool-1", "leaf-1"}
    assert _logs(host) == 3
    assert not [*(host.eprefix / "var/lib/gentoomuch/.farm/runs").iterdir()]
    _serve(on, top)
    assert [path.name for path in (top / "other/generations").glob("*.json")] == ["1.json"]


@pytest.mark.slow
def test_a_build_that_fails_is_reported_with_its_log_and_retried(
    host: Host, write: Write, on: Run, tmp_path: Path
) -> None:
    some()
    write("broken-1", install="die")
    write("needy-1", more='BDEPEND="app-demo/broken"')
    _farm(on, "add", "router", "app-demo/needy")
    shown = _serve(on, tmp_path)
    printed = (shown.out + shown.err).splitlines()
    assert [any(all(word in line for word in words) for line in printed) for words in (
        ("building", "app-demo/broken-1", "router"), ("app-demo/broken-1", "failed", "build-failed"),
        ("app-demo/needy-1", "failed", "dependency"),
    )] == [True, True, True]  # fmt: skip
    jobs = {job["cpv"]: job for job in _farm(on, "ls")}
    assert (jobs["app-demo/broken-1"]["state"], jobs["app-demo/broken-1"]["code"]) == ("failed", "build-failed")
    assert (jobs["app-demo/needy-1"]["state"], jobs["app-demo/needy-1"]["code"]) == ("failed", "dependency")
    assert _logs(host) == 1
    _farm(on, "retry", jobs["app-demo/needy-1"]["key"][:16])
    assert _states(on) == {"broken-1": "ready", "needy-1": "waiting"}


def _sleepers(mark: str) -> bool:
    return any(mark in " ".join(words) for words in command_lines().values())


@contextmanager
def _serving(host: Host, top: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [str(BIN / "gentoomuch"), "farm", "serve", str(top)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, env=host.env(), start_new_session=True, **silent) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
def blocked(write: Write) -> str:
    """A package whose build sleeps for a year; the argument of its process."""
    some()
    mark = f"31557602.{os.getpid()}"  # seconds that no other process sleeps
    write("slow-1", install=f"sleep {mark}")
    return mark


@pytest.mark.slow
def test_a_build_outlives_its_server_and_the_next_server_sees_it(
    blocked: str, host: Host, on: Run, tmp_path: Path
) -> None:
    _farm(on, "add", "router", "app-demo/slow")
    with _serving(host, tmp_path) as server:
        wait_for(lambda: _sleepers(blocked) or server.poll() is not None, "the build runs")
        server.kill()
        server.wait(timeout=HANG)
    assert _sleepers(blocked)
    assert _states(on) == {"slow-1": "leased"}
    [job] = _farm(on, "ls")
    with _serving(host, tmp_path):
        _farm(on, "cancel", job["key"])
        wait_for(lambda: not _sleepers(blocked), "the cancelled build ends")
        runs = host.eprefix / "var/lib/gentoomuch/.farm/runs"
        wait_for(lambda: not [*runs.iterdir()], "its directory is removed")
    assert _states(on) == {"slow-1": "cancelled"}


@pytest.mark.slow
@pytest.mark.usefixtures("chain")
def test_servers_that_are_killed_lose_no_build_and_repeat_none(host: Host, on: Run, tmp_path: Path) -> None:
    some()
    _farm(on, "add", "router", "app-demo/leaf")
    states = _states(on)
    while set(states.values()) != {"done"}:
        with _serving(host, tmp_path) as server:
            wait_for(lambda before=states: _states(on) != before or server.poll() is not None, "a build moves on")
        states = _states(on)
    _serve(on, tmp_path)
    assert _logs(host) == 3
    assert _published(tmp_path / "router") == {"lib-1", "tool-1", "leaf-1"}


@pytest.mark.slow
def test_a_build_that_is_killed_is_repeated_and_then_suspected(
    blocked: str, host: Host, on: Run, tmp_path: Path
) -> None:
    _farm(on, "add", "router", "app-demo/slow")
    with _serving(host, tmp_path):
        for losses in range(1, 4):
            wait_for(lambda: _sleepers(blocked), "the build runs")
            for pid, words in command_lines().items():
                if "--json" in words and "app-demo/slow-1" in words:
                    os.kill(pid, signal.SIGKILL)
            wait_for(lambda losses=losses: _farm(on, "ls")[0]["losses"] == losses, "the loss is recorded")
    assert [(job["state"], job["code"]) for job in _farm(on, "ls")] == [("failed", "kills-builders")]


@pytest.mark.slow
@pytest.mark.usefixtures("chain")
def test_a_package_that_was_damaged_is_built_again(host: Host, on: Run, tmp_path: Path) -> None:
    some()
    _farm(on, "add", "router", "app-demo/tool", "app-demo/lib")
    _serve(on, tmp_path)
    before = _logs(host)
    for stored in (host.eprefix / "var/lib/gentoomuch/.farm/objects").glob("??/*"):
        stored.write_bytes(b"damaged")
    _farm(on, "add", "router", "app-demo/leaf")
    _serve(on, tmp_path)
    assert _states(on) == {"lib-1": "done", "tool-1": "done", "leaf-1": "done"}
    assert _logs(host) == before + 3
    assert _published(tmp_path / "router") == {"lib-1", "tool-1", "leaf-1"}


def test_a_paused_farm_builds_nothing(write: Write, on: Run, tmp_path: Path) -> None:
    write("lib-1")
    _farm(on, "add", "router", "app-demo/lib")
    assert on("gentoomuch", "farm", "pause").status == 0
    _serve(on, tmp_path)
    assert _states(on) == {"lib-1": "ready"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "router", "app-demo/nothing"), "no-ebuild"),
        (("add", "router", "../nothing"), "no-ebuild"),
        (("add", "nothing", "app-demo/lib"), "unknown-profile"),
        (("cancel", "00"), "unknown-job"),
    ],
)
def test_a_wrong_wish_is_rejected(words: tuple[str, ...], code: str, write: Write, on: Run) -> None:
    write("lib-1")
    ended = on("gentoomuch", "farm", *words, "--json")
    assert json.loads(ended.out)["error"] == code


def test_packages_that_need_each_other_are_rejected(write: Write, on: Run) -> None:
    write("one-1", more='BDEPEND="app-demo/two"')
    write("two-1", more='BDEPEND="app-demo/one"')
    ended = on("gentoomuch", "farm", "add", "router", "app-demo/one", "--json")
    assert json.loads(ended.out)["error"] == "missing-dependencies"
