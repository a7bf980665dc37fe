# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a container sees a repository or its snapshot."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage.containers import host_paths
from gentoomuch_portage.containers.spec import Bind, ContainerSpec, Mount, Squashfs
from gentoomuch_portage.portage_adapter.config import Synced
from gentoomuch_portage.roots import repo_snapshots


@pytest.fixture
def repository(tmp_path: Path) -> Synced:
    """A repository with a good snapshot of what stands there."""
    folder = tmp_path / "repository"
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata/timestamp.chk").write_text("Sat, 21 Nov 2026 12:00:00 +0000\n")
    one = Synced("gentoo", folder, "rsync", "rsync://example.org", auto=True)
    shelf = repo_snapshots.snapshot_directory(tmp_path / "cache", one)
    shelf.mkdir(parents=True)
    (shelf / "good.squashfs").touch()
    told = {"location": str(folder), "revision": host_paths.revision(folder), "image": "good.squashfs"}
    (shelf / "current").write_text(json.dumps(told))
    return one


def _seen(repository: Synced, cache: Path) -> Mount:
    [found] = host_paths.repository_mounts([repository.location], cache, Path("/box"))
    return found


def test_an_unchanged_repository_is_mounted_from_its_snapshot(repository: Synced, tmp_path: Path) -> None:
    seen = _seen(repository, tmp_path / "cache")

    assert isinstance(seen, Squashfs)
    assert Path(seen.image).name == "good.squashfs"
    assert ContainerSpec.from_json(ContainerSpec(mounts=(seen,), run="/box").to_json()).mounts == (seen,)


def test_a_repository_synced_later_is_mounted_itself(repository: Synced, tmp_path: Path) -> None:
    (repository.location / "metadata/timestamp.chk").write_text("later\n")

    assert isinstance(_seen(repository, tmp_path / "cache"), Bind)


def test_an_interrupted_sync_is_not_visible(repository: Synced, tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), repo_snapshots.syncing(tmp_path / "cache", repository):
        (repository.location / "metadata/timestamp.chk").write_text("half\n")
        during = _seen(repository, tmp_path / "cache")
        raise KeyboardInterrupt

    assert isinstance(during, Squashfs)
    assert isinstance(_seen(repository, tmp_path / "cache"), Squashfs)


def test_a_completed_sync_without_a_snapshot_is_visible(repository: Synced, tmp_path: Path) -> None:
    with suppress(OSError), repo_snapshots.syncing(tmp_path / "cache", repository) as ended_well:
        (repository.location / "metadata/timestamp.chk").write_text("later\n")
        ended_well()
        raise OSError("the disk is full")

    assert isinstance(_seen(repository, tmp_path / "cache"), Bind)


def test_a_snapshot_without_its_image_is_ignored(repository: Synced, tmp_path: Path) -> None:
    (repo_snapshots.snapshot_directory(tmp_path / "cache", repository) / "good.squashfs").unlink()

    assert isinstance(_seen(repository, tmp_path / "cache"), Bind)


def test_select_returns_unsynced_repositories_for_snapshots(repository: Synced) -> None:
    local = repository._replace(name="local", kind="", uri="")
    known = [repository, local]

    assert repo_snapshots.select(["local"], known, syncs=False) == [local]
    assert repo_snapshots.select([], known, syncs=False) == known
    with raises("unknown-repository", match="gento"):
        repo_snapshots.select(["gento"], known, syncs=False)
