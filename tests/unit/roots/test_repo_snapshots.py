# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a container sees a repository or its snapshot."""

import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.damage import DAMAGES
from helpers.errors import raises

from gentoomuch_portage import stored
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


@pytest.mark.skipif(not shutil.which("mksquashfs"), reason="no mksquashfs")
@pytest.mark.parametrize("name", [*DAMAGES])
@pytest.mark.parametrize("file", ["current", "syncing", "*.squashfs"])
def test_a_damaged_file_of_a_snapshot_is_made_again(repository: Synced, tmp_path: Path, file: str, name: str) -> None:
    cache = tmp_path / "cache"
    folder = repo_snapshots.snapshot_directory(cache, repository)
    (folder / "good.squashfs").unlink()
    (folder / "syncing").touch()
    made = repo_snapshots.make_snapshot(cache, repository)
    [damaged] = folder.glob(file)
    DAMAGES[name](damaged, random.Random(0))

    with repo_snapshots.syncing(cache, repository) as ended_well:
        ended_well()
        again = repo_snapshots.make_snapshot(cache, repository)

    whole = stored.read_bytes(again.image)
    assert again.image == made.image
    assert (whole[:4], len(whole) >= int.from_bytes(whole[40:48], "little")) == (b"hsqs", True)
    assert _seen(repository, cache) == Squashfs(
        str(again.image), *[str(repository.location)] * 2, str(Path("/box/snapshots/0"))
    )


@pytest.mark.skipif(not shutil.which("mksquashfs"), reason="no mksquashfs")
@pytest.mark.parametrize("name", [*DAMAGES])
def test_a_damaged_old_snapshot_does_not_stop_the_next_one(repository: Synced, tmp_path: Path, name: str) -> None:
    cache = tmp_path / "cache"
    old = repo_snapshots.snapshot_directory(cache, repository) / "good.squashfs"
    DAMAGES[name](old, random.Random(0))

    assert repo_snapshots.make_snapshot(cache, repository, keep=1).removed == 1
    assert not os.path.lexists(old)


def test_select_returns_unsynced_repositories_for_snapshots(repository: Synced) -> None:
    local = repository._replace(name="local", kind="", uri="")
    known = [repository, local]

    assert repo_snapshots.select(["local"], known, syncs=False) == [local]
    assert repo_snapshots.select([], known, syncs=False) == known
    with raises("unknown-repository", match="gento"):
        repo_snapshots.select(["gento"], known, syncs=False)
