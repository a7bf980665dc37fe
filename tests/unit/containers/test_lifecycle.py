# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container leaves on the host: nothing, whatever it made there and however it ended."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gentoomuch_portage import fs
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.configroot import build_dir
from gentoomuch_portage.containers import cleanup, lifecycle
from gentoomuch_portage.containers.spec import Bind, ContainerSpec
from gentoomuch_portage.errors import NoPrivilege
from gentoomuch_portage.plan.plan import Plan

_DEEP = 3 * sys.getrecursionlimit()


def container(above: Path, run: Path) -> ContainerSpec:
    """A container that builds below ``above``."""
    source = str(build_dir.container_folder(above, run))
    return ContainerSpec(mounts=(Bind(source, "/var/tmp", writable=True),), run=str(run), scratch_source=source)


def nest(folder: Path, depth: int) -> None:
    """Nest directories deeper than a path may be long, with a setuid file at the bottom."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=number)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=number)
        os.close(number)
        number = below
    os.close(os.open("suid", os.O_CREAT | os.O_WRONLY, mode=0o755, dir_fd=number))
    os.chmod("suid", 0o4755, dir_fd=number)
    os.close(number)


def test_the_scratch_directory_is_closed_whatever_mode_a_build_sets(tmp_path: Path) -> None:
    run = tmp_path / "run-x"
    run.mkdir()
    spec = container(tmp_path, run)
    with lifecycle._scratch(spec):
        folder = Path(spec.scratch_source)
        folder.chmod(0o4777)
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        assert not any(Path(one.source) == folder.parent for one in spec.mounts if isinstance(one, Bind))
        (folder / "program").touch(0o755)
    assert list(tmp_path.iterdir()) == [run]


def test_very_deep_directories_are_removed(tmp_path: Path) -> None:
    run = tmp_path / "run-x"
    run.mkdir()
    spec = container(tmp_path, run)
    with lifecycle._scratch(spec):
        nest(Path(spec.scratch_source), _DEEP)
    assert list(tmp_path.iterdir()) == [run]


def test_an_existing_scratch_directory_is_an_error(tmp_path: Path) -> None:
    run = tmp_path / "run-x"
    run.mkdir()
    (tmp_path / "gentoomuch-run-x").mkdir()
    with pytest.raises(NoPrivilege, match="gentoomuch-run-x"), lifecycle._scratch(container(tmp_path, run)):
        pytest.fail("it is built in")
    assert list((tmp_path / "gentoomuch-run-x").iterdir()) == []


def test_recovery_removes_the_scratch_directory_of_a_killed_run(tmp_path: Path) -> None:
    """It is removed by the record of the run, which is written before the directory exists."""
    cache, above = tmp_path / "cache", tmp_path / "tmp"
    run = fs.ensure(cache / "containers/run-x")
    above.mkdir()
    entered = lifecycle._scratch(container(above, run))
    entered.__enter__()  # and never left
    nest(above / "gentoomuch-run-x/tmp", 3)

    cleanup.recover(Settings.load({"GM_CACHE": str(cache)}), Plan(profile="router", base="none", root="/"))

    assert list(above.iterdir()) == []
    assert list((cache / "containers").iterdir()) == []


def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    precious = tmp_path / "host/portage/app-misc/a-1"
    precious.mkdir(parents=True)
    run = tmp_path / "run-x"
    run.mkdir()
    spec = container(tmp_path, run)
    with lifecycle._scratch(spec):
        (Path(spec.scratch_source) / "portage").symlink_to(tmp_path / "host/portage")
    assert precious.exists()


def test_disarm_clears_setuid_bits_capabilities_and_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set-user-ID and set-group-ID bits, capabilities, devices, sockets and pipes."""
    built = tmp_path / "built"
    (built / "below").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.touch(0o755)
    outside.chmod(0o4755)
    for name, mode in (("suid", 0o4755), ("sgid", 0o2755), ("plain", 0o644), ("program", 0o755)):
        (built / "below" / name).touch()
        (built / "below" / name).chmod(mode)
    (built / "below/link").symlink_to(outside)
    (built / "below").chmod(0o2775)
    os.mkfifo(built / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        monkeypatch.chdir(built)  # for the path of a socket is short
        made.bind("socket")
    if not os.geteuid():
        os.mknod(built / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        capability = b"\1\0\0\2" + b"\xff" * 4 + b"\0" * 12
        os.setxattr(built / "below/program", "security.capability", capability)

    lifecycle.disarm(built)

    left = {str(one.relative_to(built)): one.lstat() for one in built.rglob("*")}
    assert set(left) == {"below", *(f"below/{name}" for name in ("suid", "sgid", "plain", "program", "link"))}
    assert [name for name, seen in left.items() if seen.st_mode & 0o6000] == []
    assert "security.capability" not in os.listxattr(built / "below/program")
    assert stat.S_IMODE(outside.stat().st_mode) == 0o4755


def test_disarm_removes_trees_that_are_too_deep(tmp_path: Path) -> None:
    """Where ``os.fwalk`` recurses, before Python 3.12, it cannot look that deep, and nothing of the tree stays."""
    (tmp_path / "built").mkdir()
    nest(tmp_path / "built", _DEEP)

    lifecycle.disarm(tmp_path / "built")

    find = ["find", tmp_path, "-name", "suid", "-perm", "/6000"]
    assert subprocess.run(find, capture_output=True, text=True, check=True).stdout == ""
