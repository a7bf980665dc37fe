"""Which of a repository and its snapshot a box sees."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from gentoomuch_portage.containers import host_paths
from gentoomuch_portage.containers.spec import Bind, Box, Mount, Squashfs
from gentoomuch_portage.portage_adapter.config import Synced
from gentoomuch_portage.roots import repo_snapshots
from gentoomuch_portage.roots.errors import UnknownRepository


@pytest.fixture
def repository(tmp_path: Path) -> Synced:
    """A repository with a good snapshot of what stands there."""
    folder = tmp_path / "repository"
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata/timestamp.chk").write_text("Sat, 21 Nov 2026 12:00:00 +0000\n")
    one = Synced("gentoo", folder, "rsync", "rsync://example.org", auto=True)
    shelf = repo_snapshots.folder_of(tmp_path / "cache", one)
    shelf.mkdir(parents=True)
    (shelf / "good.squashfs").touch()
    told = {"location": str(folder), "revision": host_paths.revision(folder), "image": "good.squashfs"}
    (shelf / "current").write_text(json.dumps(told))
    return one


def _seen(repository: Synced, cache: Path) -> Mount:
    [found] = host_paths.mounts([repository.location], cache, Path("/box"))
    return found


def test_a_repository_that_is_as_it_was_synced_is_seen_as_its_snapshot(repository: Synced, tmp_path: Path) -> None:
    seen = _seen(repository, tmp_path / "cache")

    assert isinstance(seen, Squashfs)
    assert Path(seen.image).name == "good.squashfs"
    assert Box.from_json(Box(mounts=(seen,), run="/box").to_json()).mounts == (seen,)


def test_a_repository_that_somebody_synced_since_is_seen_itself(repository: Synced, tmp_path: Path) -> None:
    (repository.location / "metadata/timestamp.chk").write_text("later\n")

    assert isinstance(_seen(repository, tmp_path / "cache"), Bind)


def test_a_sync_that_broke_off_is_never_seen(repository: Synced, tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), repo_snapshots.syncing(tmp_path / "cache", repository):
        (repository.location / "metadata/timestamp.chk").write_text("half\n")
        during = _seen(repository, tmp_path / "cache")
        raise KeyboardInterrupt

    assert isinstance(during, Squashfs)
    assert isinstance(_seen(repository, tmp_path / "cache"), Squashfs)


def test_a_good_sync_is_seen_though_its_snapshot_could_not_be_made(repository: Synced, tmp_path: Path) -> None:
    with suppress(OSError), repo_snapshots.syncing(tmp_path / "cache", repository) as ended_well:
        (repository.location / "metadata/timestamp.chk").write_text("later\n")
        ended_well()
        raise OSError("the disk is full")

    assert isinstance(_seen(repository, tmp_path / "cache"), Bind)


def test_a_snapshot_whose_image_is_gone_is_none(repository: Synced, tmp_path: Path) -> None:
    (repo_snapshots.folder_of(tmp_path / "cache", repository) / "good.squashfs").unlink()

    assert isinstance(_seen(repository, tmp_path / "cache"), Bind)


def test_a_snapshot_alone_is_asked_of_repositories_that_there_are(repository: Synced) -> None:
    local = repository._replace(name="local", kind="", uri="")
    known = [repository, local]

    assert repo_snapshots.chosen(["local"], known, syncs=False) == [local]
    assert repo_snapshots.chosen([], known, syncs=False) == known
    with pytest.raises(UnknownRepository, match="gento"):
        repo_snapshots.chosen(["gento"], known, syncs=False)
