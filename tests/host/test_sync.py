"""Portage's own sync, and the snapshot that it leaves."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import Run
from syncing import Upstream, upstream

from gentoomuch_portage.demo_host import Host


@pytest.fixture
def origin(host: Host) -> Upstream:
    """Where the host's repository comes from."""
    return upstream(host)


def _snapshots(host: Host) -> list[str]:
    return sorted(one.stem for one in origin_folder(host).glob("*.squashfs"))


def origin_folder(host: Host) -> Path:
    return host.eprefix / "var/cache/gentoomuch/snapshots/gm-demo"


def _current(host: Host) -> str:
    return str(json.loads((origin_folder(host) / "current").read_text())["revision"])


def test_a_sync_leaves_a_snapshot_and_old_ones_go(host: Host, on: Run, origin: Upstream) -> None:
    revisions = [origin.revision]
    first = on("gentoomuch", "sync")
    for number in range(2):
        revisions.append(origin.commit(f"note-{number}"))
        assert on("gentoomuch", "sync", "gm-demo").status == 0

    assert first.status == 0, first.err
    assert (host.repository / "note-1").exists(), "Portage has synced it"
    assert _current(host) == revisions[-1]
    assert _snapshots(host) == sorted(revisions[-2:])
    listed = subprocess.run(
        ["unsquashfs", "-l", origin_folder(host) / f"{revisions[-1]}.squashfs"], capture_output=True, text=True
    ).stdout
    assert "squashfs-root/note-1" in listed
    assert ".git" not in listed


def test_a_sync_that_fails_leaves_the_last_good_snapshot(host: Host, on: Run, origin: Upstream) -> None:
    good = origin.revision
    assert on("gentoomuch", "sync").status == 0
    origin.folder.rename(origin.folder.with_name("away"))

    failed = on("gentoomuch", "sync")

    assert failed.status == 1
    assert "last good snapshot" in failed.err
    assert (_current(host), _snapshots(host)) == (good, [good])
    assert (origin_folder(host) / "syncing").exists()


def test_a_repository_that_is_not_there_is_named_with_those_that_are(host: Host, on: Run, origin: Upstream) -> None:
    ended = on("gentoomuch", "sync", "gentoo")

    assert ended.status == 64
    assert "gm-demo" in ended.err
