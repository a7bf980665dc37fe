"""What killed builds leave, and what of it is removed."""

import fcntl
import os
from pathlib import Path

import pytest

from gentoomuch_portage.containers.cleanup import remove, swept
from gentoomuch_portage.containers.spec import Bind, Box
from gentoomuch_portage.plan.plan import Plan


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A build directory below PORTAGE_TMPDIR, ``tmp_path``."""
    folder = tmp_path / "portage/app-misc/a-1"
    (folder / "work").mkdir(parents=True)
    (folder / "work/file").touch()
    return folder


def test_a_killed_build_leaves_no_directory(tmp_path: Path, built: Path) -> None:
    assert swept(tmp_path, 0)
    assert not built.exists()


def test_a_build_that_has_failed_stays_to_be_looked_at(tmp_path: Path, built: Path) -> None:
    (built / ".die_hooks").touch()
    assert swept(tmp_path, 0)
    assert built.exists()


def test_what_was_there_before_the_run_stays(tmp_path: Path, built: Path) -> None:
    assert swept(tmp_path, built.stat().st_mtime_ns + 1)
    assert built.exists()


def test_a_build_that_goes_on_is_left_alone(tmp_path: Path, built: Path) -> None:
    with built.with_name(".a-1.portage_lockfile").open("w") as lock:
        there, done = os.pipe(), os.pipe()
        if not os.fork():  # a process does not keep itself out
            fcntl.lockf(lock, fcntl.LOCK_EX)
            os.write(there[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(there[0], 1)
        assert not swept(tmp_path, 0)
        os.write(done[1], b"x")
        os.wait()
    assert built.exists()
    assert swept(tmp_path, 0)
    assert not built.exists()


@pytest.mark.parametrize("at", ["portage", "portage/app-misc", "portage/app-misc/a-1"])
def test_a_link_is_never_followed(tmp_path: Path, at: str) -> None:
    precious = tmp_path / "host" / "portage/app-misc/a-1"
    precious.mkdir(parents=True)
    link = tmp_path / "box" / at
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "host" / at)
    assert swept(tmp_path / "box", 0)
    assert precious.exists()


def test_a_box_tells_where_it_was_building(tmp_path: Path, built: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    box = Box(mounts=(Bind(str(tmp_path), "/var/tmp", writable=True),), run=str(run))
    (run / "box.json").write_text(box.to_json())
    told = Plan(profile="p", base="host", root="/", env={"PORTAGE_TMPDIR": "/var/tmp"})
    (run / "plan.json").write_text(told.to_json())
    os.utime(run / "plan.json", ns=(0, 0))
    remove(run)
    assert not built.exists()
