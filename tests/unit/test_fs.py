# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole or not at all; and nobody takes away what is held."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from helpers.errors import raises

from gentoomuch_portage import fs
from gentoomuch_portage.errors import NoPrivilege

AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "ours").symlink_to("theirs")

    fs.write(tmp_path / "ours", "ours")

    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "ours").is_symlink()
    assert (tmp_path / "ours").read_text() == "ours"


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(tmp_path: Path):
    (tmp_path / "a").write_text("old")

    with pytest.raises(UnicodeEncodeError):
        fs.write(tmp_path / "a", "\ud800")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_written_file_has_the_given_mode_with_any_umask(tmp_path: Path):
    before = os.umask(0o077)
    try:
        fs.write(tmp_path / "sub/a", "", mode=0o640)
    finally:
        os.umask(before)

    assert (tmp_path / "sub/a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_replaced_hands_its_mode_on(tmp_path: Path, link: bool):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")

    fs.write(tmp_path / ("link" if link else "a"), "new")

    assert (tmp_path / ("link" if link else "a")).lstat().st_mode & 0o777 == 0o600


def test_a_file_instead_of_a_directory_is_an_error(tmp_path: Path):
    (tmp_path / "a").write_text("")

    with pytest.raises(NoPrivilege, match=str(tmp_path / "a")):
        fs.write(tmp_path / "a/b", "")


@AS_ROOT
def test_an_unwritable_directory_is_an_error(tmp_path: Path):
    tmp_path.chmod(0o555)

    with pytest.raises(NoPrivilege, match=str(tmp_path)):
        fs.write(tmp_path / "a", "")
    with pytest.raises(NoPrivilege, match=str(tmp_path)):
        fs.write(tmp_path / "a/b", "")
    with pytest.raises(NoPrivilege, match=str(tmp_path)), fs.fresh_folder(tmp_path):
        pass


def test_a_locked_directory_is_not_removed(tmp_path: Path):
    (tmp_path / "a").mkdir()
    lock = fs.lock_shared(tmp_path / "a")

    assert not fs.remove_unlocked(tmp_path / "a")
    assert (tmp_path / "a").is_dir()

    os.close(lock)
    assert fs.remove_unlocked(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_several_processes_can_share_a_lock_on_a_directory(tmp_path: Path):
    first, second = fs.lock_shared(tmp_path), fs.lock_shared(tmp_path)
    os.close(first)

    assert not fs.remove_unlocked(tmp_path)

    os.close(second)


def test_a_missing_directory_cannot_be_locked_and_counts_as_removed(tmp_path: Path):
    assert fs.lock_shared(tmp_path / "none") is None
    assert fs.remove_unlocked(tmp_path / "none")


def test_a_file_is_neither_locked_nor_removed_as_a_directory(tmp_path: Path):
    (tmp_path / "a").write_text("")

    assert fs.lock_shared(tmp_path / "a") is None
    assert not fs.remove_unlocked(tmp_path / "a")
    assert (tmp_path / "a").exists()


def test_leftovers_of_a_killed_removal_block_nothing(tmp_path: Path):
    (tmp_path / f".old-a-{os.getpid()}/b").mkdir(parents=True)
    (tmp_path / "a/b").mkdir(parents=True)

    assert fs.remove_unlocked(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_replaced_directory_is_not_removed(tmp_path: Path, monkeypatch):
    (tmp_path / "a").mkdir()
    lock = fs.fcntl.flock

    def replaced_meanwhile(number: int, how: int) -> None:
        (tmp_path / "a").rename(tmp_path / "before")
        (tmp_path / "a").mkdir()
        lock(number, how)

    monkeypatch.setattr(fs.fcntl, "flock", replaced_meanwhile)

    assert not fs.remove_unlocked(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_a_fresh_directory_is_locked_until_it_is_removed(tmp_path: Path):
    with fs.fresh_folder(tmp_path) as folder:
        assert not fs.remove_unlocked(folder)
        assert folder.stat().st_mode & 0o777 == 0o755

    assert list(tmp_path.iterdir()) == []


def test_a_fresh_directory_that_was_removed_before_its_lock_is_created_again(tmp_path: Path, monkeypatch):
    lock, made = fs.fcntl.flock, []

    def swept_meanwhile(number: int, how: int) -> None:
        if not made:
            made.extend(tmp_path.iterdir())
            made[0].rmdir()
        lock(number, how)

    monkeypatch.setattr(fs.fcntl, "flock", swept_meanwhile)

    with fs.fresh_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert folder not in made


def test_a_renamed_fresh_directory_is_not_removed(tmp_path: Path):
    with fs.fresh_folder(tmp_path) as folder:
        folder.rename(tmp_path / "named")

    assert [path.name for path in tmp_path.iterdir()] == ["named"]


def test_an_own_directory_is_never_a_prepared_link(tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").symlink_to("theirs")

    with pytest.raises(NoPrivilege, match="belongs to another user"):
        fs.private_folder(tmp_path / "ours")


def test_a_directory_has_the_given_mode_with_any_umask(tmp_path: Path):
    before = os.umask(0o077)
    try:
        fs.ensure(tmp_path / "cache/a")
        fs.ensure(tmp_path / "kept", mode=0o700)
    finally:
        assert os.umask(before) == 0o077

    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("cache", "cache/a", "kept")}
    assert modes == {"cache": 0o755, "cache/a": 0o755, "kept": 0o700}


def test_an_own_directory_that_cannot_be_created_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(NoPrivilege, match="cannot make"):
        fs.private_folder(tmp_path / "file/ours")
    with pytest.raises(NoPrivilege, match="file exists"):
        fs.private_folder(tmp_path / "file")


def _count_up(path: Path, times: int) -> None:
    for _ in range(times):
        with fs.locked(path.with_suffix(".lock")):
            path.write_text(str(int(path.read_text()) + 1))


def test_one_at_a_time_is_in_a_locked_block(tmp_path: Path):
    (tmp_path / "count").write_text("0")
    workers = [multiprocessing.Process(target=_count_up, args=(tmp_path / "count", 200)) for _ in range(4)]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert (tmp_path / "count").read_text() == "800"


def _append(path: Path, word: str) -> None:
    for _ in range(200):
        fs.append(path, word * 500)


def test_lines_appended_at_once_do_not_mix(tmp_path: Path):
    workers = [multiprocessing.Process(target=_append, args=(tmp_path / "log", word)) for word in "abcd"]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 800
    assert {line for line in lines} == {word * 500 for word in "abcd"}


def test_an_exception_under_a_lock_is_raised_as_it_is(tmp_path: Path):
    with pytest.raises(BlockingIOError, match="of the block"), fs.try_lock(tmp_path):
        raise BlockingIOError("of the block")
    with fs.try_lock(tmp_path) as is_locked, fs.try_lock(tmp_path) as another:
        assert (is_locked, another) == (True, False)


@pytest.mark.parametrize("obstacle", ["file", "pipe", "dangling link", "loop of links"])
def test_a_file_in_the_place_of_a_directory_of_the_cache_is_removed(tmp_path: Path, obstacle: str):
    """S11: all directories that only the cache needs were errors until somebody removed the file."""
    cache = tmp_path / "cache"
    cache.mkdir()
    make_obstacle(cache / "above", obstacle)

    assert fs.ensure(cache / "above/below", cache=cache).is_dir()


@pytest.mark.parametrize("obstacle", ["file", "pipe", "dangling link", "loop of links"])
def test_a_file_in_the_place_of_the_cache_or_of_a_directory_above_it_is_kept(tmp_path: Path, obstacle: str):
    make_obstacle(tmp_path / "cache", obstacle)

    for cache in (tmp_path / "cache", tmp_path / "cache/ours"):
        with raises("no-privilege") as caught:
            fs.ensure(cache / "below", cache=cache)
        assert str(tmp_path / "cache") in caught.value.hint
    assert os.path.lexists(tmp_path / "cache")


def test_a_link_to_a_directory_of_the_cache_on_another_disk_is_kept(tmp_path: Path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache/trees").symlink_to(tmp_path / "disk")

    fs.ensure(tmp_path / "cache/trees/one", cache=tmp_path / "cache")

    assert (tmp_path / "disk/one").is_dir()


@pytest.mark.parametrize("obstacle", ["file", "pipe", "dangling link", "loop of links", "link to a directory", "empty"])
def test_a_new_directory_of_the_cache_takes_the_place_of_what_is_none(tmp_path: Path, obstacle: str):
    """S11: ``Not a directory  [system]`` for the new directory, which was removed then, so nobody could inspect it."""
    make_obstacle(tmp_path / "place", obstacle)
    (tmp_path / "new/inside").mkdir(parents=True)

    assert fs.rename_folder(tmp_path / "new", tmp_path / "place")

    assert (tmp_path / "place/inside").is_dir()
    assert not (tmp_path / "place").is_symlink()


def test_a_new_directory_of_the_cache_does_not_replace_that_of_another_run(tmp_path: Path):
    (tmp_path / "place/inside").mkdir(parents=True)
    (tmp_path / "new").mkdir()

    assert not fs.rename_folder(tmp_path / "new", tmp_path / "place")

    assert (tmp_path / "place/inside").is_dir()


def make_obstacle(path: Path, kind: str) -> None:
    """Make something in the place of a directory with content."""
    match kind:
        case "file":
            path.write_text("garbage")
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to("nowhere")
        case "loop of links":
            path.symlink_to(path.name)
        case "link to a directory":
            path.with_name("elsewhere").mkdir()
            path.symlink_to("elsewhere")
        case "empty":
            path.mkdir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root enters every directory")
def test_a_directory_of_the_cache_is_removed_with_directories_that_are_closed(tmp_path: Path):
    """S11: ``cannot remove ...: permission denied``."""
    (tmp_path / "top/closed/below").mkdir(parents=True)
    (tmp_path / "top/closed/below/file").touch()
    for name in ("top/closed/below", "top/closed"):
        (tmp_path / name).chmod(0)

    fs.remove(tmp_path / "top")

    assert not (tmp_path / "top").exists()


@pytest.mark.parametrize("obstacle", ["file", "dangling link", "loop of links"])
def test_what_is_in_the_place_of_a_directory_is_not_locked(tmp_path: Path, obstacle: str):
    """S11: ``[system]`` for a loop of links in the place of a configroot, which is built again now."""
    make_obstacle(tmp_path / "place", obstacle)

    assert fs.lock_shared(tmp_path / "place") is None


def test_a_cache_file_that_its_owner_cannot_read_gets_a_new_mode(tmp_path: Path):
    file = tmp_path / "cached"
    file.touch(0o000)

    fs.write_cache(file, "new")

    assert (stat.S_IMODE(file.stat().st_mode), file.read_text()) == (0o644, "new")
