# SPDX-License-Identifier: GPL-2.0-or-later
"""Generations of a root, and the return to one of them."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers.errors import raises
from helpers.snapshots import describe

from gentoomuch_portage.containers import linux, root_lock
from gentoomuch_portage.errors import Busy
from gentoomuch_portage.portage_adapter import paths
from gentoomuch_portage.roots import snapshots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with all kinds of files."""
    root = tmp_path / "roots/router"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/su").write_text("su")
    (root / "usr/bin/su").chmod(0o4711)
    (root / "usr/bin/sg").hardlink_to(root / "usr/bin/su")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    os.mkfifo(root / "usr/fifo")
    os.utime(root / "usr/bin/su", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root, ns=(1, 987_654_321_123_456_789))
    return root


@contextmanager
def run(root: Path, keep: int, *, changes: bool) -> Iterator[None]:
    """A run that merges a package if ``changes``."""
    with snapshots.before_run(root, ("gm-emerge", "-u", "@world"), keep):
        yield
        if changes:
            vdb = Path(f"{root}{paths.eprefix()}") / "var/db/pkg/app-demo"
            vdb.mkdir(parents=True, exist_ok=True)
            (vdb / f"thing-{len(list(vdb.iterdir()))}").mkdir()


def numbers(root: Path) -> list[int]:
    return [generation.generation for generation in snapshots.generations(root)]


def test_a_rollback_restores_a_root_with_all_its_attributes(root: Path) -> None:
    if not os.geteuid():
        os.mknod(root / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.chown(root / "usr/fifo", 7, 8)
    with suppress(OSError):  # not every file system has them
        os.setxattr(root / "usr/bin/su", "user.note", b"kept")
    before = describe(root)

    snapshots.save(root, "router")
    (root / "usr/bin/su").write_text("broken")
    (root / "bin").unlink()
    (root / "new").mkdir()
    changed = describe(root)
    chosen = snapshots.rollback(root, "router", 0, 0)

    assert describe(root) == before
    assert chosen == (1, 2)
    assert describe(snapshots.folder_of(root) / "2/root") == changed


def test_a_rollback_is_undone_by_another_one(root: Path) -> None:
    snapshots.save(root, "router")
    (root / "usr/bin/su").write_text("new")
    changed = describe(root)

    _, former = snapshots.rollback(root, "router", 1, 0)
    snapshots.rollback(root, "router", former, 0)

    assert describe(root) == changed
    assert 1 in numbers(root)


def test_only_the_owner_can_enter_the_snapshots(root: Path) -> None:
    snapshots.save(root, "router")

    folder = snapshots.folder_of(root)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.parent == root.parent


def test_a_root_in_use_is_neither_saved_nor_rolled_back(root: Path) -> None:
    snapshots.save(root, "router")
    (root / "usr/bin/su").write_text("new")
    before = describe(root)

    with root_lock.shared(root):
        with pytest.raises(Busy):
            snapshots.save(root, "router")
        with pytest.raises(Busy):
            snapshots.rollback(root, "router", 1, 0)

    assert describe(root) == before
    assert numbers(root) == [1]


def test_a_run_locks_the_root_after_its_snapshot(root: Path) -> None:
    with run(root, 1, changes=True):
        with pytest.raises(Busy):
            snapshots.rollback(root, "router", 1, 0)
        with root_lock.shared(root):
            pass

    assert numbers(root) == [1]


def test_runs_that_change_no_package_leave_no_snapshot(root: Path) -> None:
    with run(root, 2, changes=True):
        pass
    for _ in range(3):
        with run(root, 2, changes=False):
            pass

    assert numbers(root) == [1]


def test_only_the_newest_automatic_snapshots_are_kept(root: Path) -> None:
    snapshots.save(root, "router")
    for _ in range(4):
        with run(root, 2, changes=True):
            pass

    kept = snapshots.generations(root)
    assert [(generation.generation, generation.reason) for generation in kept] == [
        (1, "manual"), (4, "update"), (5, "update"),
    ]  # fmt: skip
    assert kept[1].before == ("gm-emerge", "-u", "@world")


def test_a_rollback_keeps_its_generation_and_the_former_root(root: Path) -> None:
    for _ in range(3):
        with run(root, 3, changes=True):
            pass

    chosen = snapshots.rollback(root, "router", 1, 0)

    assert chosen == (1, 4)
    assert numbers(root) == [1, 4]


def test_a_generation_is_removed_by_its_number(root: Path) -> None:
    for _ in range(2):
        snapshots.save(root, "router")

    snapshots.remove(root, "router", 1)

    assert numbers(root) == [2]
    for wanted in (1, 3):
        with raises("no-snapshot"):
            snapshots.rollback(root, "router", wanted, 0)


def test_a_removed_root_is_restored(root: Path) -> None:
    before = describe(root)
    snapshots.save(root, "router")
    root.rename(root.with_name("gone"))

    assert snapshots.rollback(root, "router", 0, 0) == (1, 0)
    assert describe(root) == before


def test_a_root_without_snapshots_is_unchanged(root: Path) -> None:
    before = describe(root)

    with raises("no-snapshot"):
        snapshots.rollback(root, "router", 0, 0)

    assert describe(root) == before
    assert [path.name for path in root.parent.iterdir()] == ["router"]


def test_without_an_exchange_a_rollback_is_rejected(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exchange(_first: str, _second: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    snapshots.save(root, "router")
    (root / "usr/bin/su").write_text("new")
    before = describe(root)
    monkeypatch.setattr(linux, "exchange", exchange)

    with raises("no-exchange"):
        snapshots.rollback(root, "router", 1, 0)

    assert describe(root) == before
    assert numbers(root) == [1]


def test_a_failed_copy_leaves_no_snapshot(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root.parent / "programs").mkdir()
    cp = root.parent / "programs/cp"
    cp.write_text("#!/bin/sh\nmkdir -p \"$7/half\"; echo 'cp: No space left on device' >&2; exit 1\n")
    cp.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cp.parent}:{os.environ['PATH']}")

    with raises("disk-full"):
        snapshots.save(root, "router")

    assert [path.name for path in snapshots.folder_of(root).iterdir()] == ["lock"]


def test_the_tree_of_an_interrupted_rollback_is_no_snapshot(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exchange(first: str, second: str) -> None:
        if second == str(root):
            raise KeyboardInterrupt
        real(first, second)

    real = linux.exchange
    snapshots.save(root, "router")
    monkeypatch.setattr(linux, "exchange", exchange)
    with pytest.raises(KeyboardInterrupt):
        snapshots.rollback(root, "router", 1, 0)

    assert numbers(root) == [1]
    assert snapshots.save(root, "router") == 2
    assert numbers(root) == [1, 2]


def test_sockets_do_not_stop_a_snapshot(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s")
    before = describe(root)

    snapshots.save(root, "router")

    assert describe(snapshots.folder_of(root) / "1/root") == before
