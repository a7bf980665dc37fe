# SPDX-License-Identifier: GPL-2.0-or-later
"""How Portage starts the code of ebuilds in a container, and what that code reaches: less than emerge."""

import os
import pickle
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import portage.process
import pytest
from helpers.containers import need_user_namespaces

from gentoomuch_portage.containers import phase_sandbox
from gentoomuch_portage.containers.phase_sandbox import Limits
from gentoomuch_portage.portage_adapter import isolation
from gentoomuch_portage.portage_adapter.isolation import Identity

CONFINE = partial(phase_sandbox.confine, Limits(("/var/cache/binpkgs",), ("/run/gentoomuch/events",)))
USER = {"uid": 250, "gid": 251, "groups": [251, 252], "umask": 0o22}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Portage's own spawn is asked for; nothing is started."""
    asked: dict[str, Any] = {}

    def spawn(mycommand: list[str], **named: Any) -> int:
        asked.update(named, argv=mycommand)
        return 0

    monkeypatch.setattr(portage.process, "spawn", spawn)
    return asked


@pytest.mark.parametrize("name", ["spawn_bash", "spawn_sandbox"])
def test_a_phase_is_confined_before_it_changes_its_user(started: dict[str, Any], name: str) -> None:
    with isolation.confined(CONFINE):
        getattr(portage.process, name)("ebuild.sh setup", env={"T": "/t"}, opt_name="x", **USER)
    begin = started["pre_exec"]
    assert not USER.keys() & started.keys(), "Portage would change the user first"
    confine, identity = begin.args
    assert identity == Identity(250, 251, (251, 252), 0o22)
    assert (confine.func, confine.args) == (CONFINE.func, (*CONFINE.args, {"T": "/t"}))
    assert confine.keywords == {"builds": name == "spawn_sandbox" and isolation.missing()}


def test_the_first_process_of_a_pid_namespace_changes_its_user(started: dict[str, Any]) -> None:
    with isolation.confined(CONFINE):
        portage.process.spawn_bash("ebuild.sh compile", env={}, opt_name="x", unshare_pid=True, **USER)
    assert {name: started[name] for name in USER} == USER
    assert started["pre_exec"].args[1] == Identity()


def test_a_phase_can_be_started_without_fork(started: dict[str, Any]) -> None:
    """Python 3.14 starts them by a server of its own, which gets everything pickled."""
    with isolation.confined(CONFINE):
        portage.process.spawn_bash("ebuild.sh setup", env={"T": "/t"}, opt_name="x", **USER)
    begin = pickle.loads(pickle.dumps(started["pre_exec"]))
    assert begin.args[1] == started["pre_exec"].args[1]
    assert begin.args[0].args == started["pre_exec"].args[0].args


@pytest.mark.parametrize(
    ("phase", "features"), [("package", "buildpkg -binpkg-signing -news"), ("install", "buildpkg")]
)
def test_what_creates_a_package_knows_the_disabled_features(
    started: dict[str, Any], monkeypatch: pytest.MonkeyPatch, phase: str, features: str
) -> None:
    """It loads make.conf again, which may enable them; a package records the FEATURES of its installation."""
    monkeypatch.setenv("FEATURES", "buildpkg -binpkg-signing -news")
    with isolation.confined(CONFINE):
        portage.process.spawn_bash("x", env={"EBUILD_PHASE": phase, "FEATURES": "buildpkg"}, opt_name="x")
    assert started["env"] == {"EBUILD_PHASE": phase, "FEATURES": features}


def test_portage_is_restored_after_confinement() -> None:
    before = portage.process.spawn_bash, portage.process.spawn_sandbox, portage.process.sandbox_capable
    with isolation.confined(CONFINE):
        assert portage.process.spawn_bash is not before[0]
    assert (portage.process.spawn_bash, portage.process.spawn_sandbox, portage.process.sandbox_capable) == before


_PHASE = """
import os, subprocess, sys
from gentoomuch_portage.containers import phase_sandbox
top, phase, builds = sys.argv[1:]
environ = {"PORTAGE_BUILDDIR": f"{top}/tmp/portage/a/b-1", "EBUILD_PHASE": phase, "PORTAGE_PROPERTIES": "live",
    "PORTAGE_BINPKG_TMPFILE": f"{top}/pkgdir/a/b/b-1-1.gpkg.tar.7", "PORTAGE_ACTUAL_DISTDIR": f"{top}/distdir"}
limits = phase_sandbox.Limits((f"{top}/pkgdir", f"{top}/distdir", f"{top}/tmp/portage"), (f"{top}/events",))
phase_sandbox.confine(limits, environ, builds=bool(builds))
for words in (["mount", "-o", "remount,rw,bind", f"{top}/pkgdir"], ["umount", "-l", f"{top}/pkgdir"],
        ["unshare", "--user", "--map-root-user", "--mount", "umount", f"{top}/pkgdir"],
        ["nsenter", "-t", str(os.getppid()), "--mount", "touch", f"{top}/pkgdir/entered"]):
    subprocess.run(words, stderr=subprocess.DEVNULL)
above = f"/proc/{os.getppid()}/root"
for name in ("pkgdir/x", "pkgdir/a/b/x", "pkgdir/a/b/b-1-1.gpkg.tar.7", "distdir/x", "tmp/portage/a/c-1/x",
        "tmp/portage/a/b-1/x", "events", "elsewhere"):
    for root in ("", above):
        try:
            os.write(os.open(f"{root}{top}/{name}", os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK), b"x")
            print(name if not root else f"above: {name}")
        except OSError:
            pass
"""


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Directories as a container has them."""
    if os.geteuid():
        pytest.skip("only root enters such namespaces without a container")
    need_user_namespaces("--mount")
    for name in ("pkgdir/a/b", "distdir", "tmp/portage/a/b-1", "tmp/portage/a/c-1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pkgdir/a/b/b-1-1.gpkg.tar.7").touch()
    os.mkfifo(tmp_path / "events")
    return tmp_path


@pytest.mark.parametrize(
    ("phase", "builds", "written"),
    [
        ("setup", "", {"tmp/portage/a/b-1/x", "elsewhere", "events"}),
        ("postinst", "", {"tmp/portage/a/b-1/x", "elsewhere", "events"}),
        ("compile", "yes", {"tmp/portage/a/b-1/x"}),
        ("package", "yes", {"tmp/portage/a/b-1/x", "pkgdir/a/b/b-1-1.gpkg.tar.7"}),
        ("unpack", "yes", {"tmp/portage/a/b-1/x", "distdir/x"}),
    ],
)
def test_a_confined_phase_writes_only_to_its_own_directories(
    top: Path, phase: str, builds: str, written: set[str]
) -> None:
    """S2: packages, logs and reports that a phase could leave where emerge has its own."""
    listener = os.open(top / "events", os.O_RDONLY | os.O_NONBLOCK)
    try:
        argv = [sys.executable, "-c", _PHASE, str(top), phase, builds]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
        assert ended.returncode == 0, ended.stderr
        shared = {"elsewhere", "events"} if str(top).startswith(("/tmp/", "/var/tmp/")) else {"events"}
        assert {*ended.stdout.splitlines()} - shared == written - shared
        assert os.read(listener, 1) == b"", "what is written to the pipe does not arrive"
    finally:
        os.close(listener)
    assert stat.S_ISFIFO((top / "events").stat().st_mode)
    assert not (top / "pkgdir/entered").exists()
